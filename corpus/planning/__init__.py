"""What a build will take, before anything is spent: predicted from what was measured."""
