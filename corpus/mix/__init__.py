"""What the stage `mix` does: the mixture, its plan and its order."""
