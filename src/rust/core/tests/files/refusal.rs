//! What must be refused.
