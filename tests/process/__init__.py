"""The programs as processes: signals, pipes, exit codes, standard output."""
