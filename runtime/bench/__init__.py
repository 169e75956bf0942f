"""The benchmarks behind `coremachine bench`: what a task costs on this machine, with every guarantee on."""
