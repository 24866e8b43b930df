//! The line fails, a partner is away, both act at once.
