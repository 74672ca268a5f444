"""What the stage `decontaminate` does: the grams of the benchmarks, found in the corpus."""
