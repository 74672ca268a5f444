"""What a trained model can do: GPT-2's zero-shot language modelling and GPT-3's K-shot tasks."""
