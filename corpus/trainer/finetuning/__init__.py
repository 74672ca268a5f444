"""Fine-tuning as GPT-1: a pretrained model, a labelled task and its four kinds of inputs."""
