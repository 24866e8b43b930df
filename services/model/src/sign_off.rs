//! Who must sign off before a party ratifies: plain data between the agreement that says it and whoever checks signatures.

/// A party's rule for sign-offs (vistos buenos) under one version of an agreement.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SignOffPolicy {
    /// Offices that may sign off.
    pub offices: Vec<String>,
    /// How many of them must agree.
    pub k: usize,
    /// Those of them that must agree, and whose objection refuses.
    pub must: Vec<String>,
    /// Items of the policy basis that are missing, and that the party must acknowledge.
    pub missing: Vec<String>,
}

/// What a version of an agreement demands of a party's ratification before it counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RatificationRule {
    /// Who signs off; `None` where nobody needs to.
    pub sign_off: Option<SignOffPolicy>,
    /// Digest of the version that this one replaces; `None` for a first one.
    pub amends: Option<[u8; 32]>,
}
