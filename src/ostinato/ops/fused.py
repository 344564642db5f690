"""The fused scan as torch sees it (kernels pending)."""
