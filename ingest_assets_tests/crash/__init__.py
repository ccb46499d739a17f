"""What is left when a process is killed or meets its double, and that it comes right again."""
