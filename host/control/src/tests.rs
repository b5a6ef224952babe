//! What the core decides, step by step.
