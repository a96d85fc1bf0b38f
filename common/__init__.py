"""What every app may use and nothing of which knows an app: money, time, problems, the tenant-table recipe."""
