"""What work costs while it is done: processor time, memory and bytes of each step of a build."""
