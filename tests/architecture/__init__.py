"""The house rules hold on the tree, and each checker sees what it is there to see."""
