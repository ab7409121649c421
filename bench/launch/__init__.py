"""How late work starts: ticks of native CronJobs and of Cronwright's tasks, side by side, on one real control plane."""
