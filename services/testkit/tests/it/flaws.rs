//! For each fix of the executable model that does not concern a lost disk: the model's shortest trace, played on two real
//! nodes by holding single steps, and what the fixed model says of it.
