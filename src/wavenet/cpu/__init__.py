"""The fast paths on a CPU: training in fused loops, generation in one compiled loop."""
