"""The verdict on a claim for one set of inputs."""
