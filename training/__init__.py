"""Training: losses, batches and the loop; torch is needed and imported with the modules that use it."""
