"""`cronwright release`: lets go of Jobs and CronJobs where no operator will do it any more."""
