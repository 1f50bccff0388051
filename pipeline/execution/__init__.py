"""Running a graph: executors, their scheduler, threads and statistics."""
