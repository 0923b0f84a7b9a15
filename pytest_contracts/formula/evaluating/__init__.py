"""The value of a formula for one set of inputs."""
