"""What work costs while it is done, by step of a build, and how far measured numbers hold."""
