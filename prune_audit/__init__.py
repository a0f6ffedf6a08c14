"""prune-audit: which classes a pruned model fails more than the dense one, and how sure that is."""
