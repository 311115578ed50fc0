"""Values as tagged JSON, the same in every process."""
