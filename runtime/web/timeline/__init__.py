"""The timeline of a job as a chart: what is drawn, and where."""
