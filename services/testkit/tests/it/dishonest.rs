//! A partner that signs what an honest node would not.
