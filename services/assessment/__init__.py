"""Assessment: one case per child at a time, with its assessment, its plan and its lead professional."""
