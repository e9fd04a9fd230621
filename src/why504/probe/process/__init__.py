"""What the process uses and lacks: CPU, memory, a core to run on."""
