"""The benchmarks behind `coremachine bench`: what a task costs here, on this machine, with every guarantee on."""
