//! The origin of a log: `<issuer>/agreements/<agreement>/to/<recipient>/<epoch>`.

use std::fmt;
use std::str::FromStr;

use crate::encoding::decimal;
use crate::name::{is_agreement, is_node};

/// Whose log it is, for whom, under which agreement and in which epoch (C2SP tlog-checkpoint "origin": a schema-less
/// URL; signed-note key names hold neither `+` nor spaces).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogOrigin {
    /// Node that issues.
    pub issuer: String,
    /// Agreement id.
    pub agreement: String,
    /// Node that it is for.
    pub recipient: String,
    /// Epoch, 1 to 2^63 − 1.
    pub epoch: u64,
}

/// A text is no origin of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a log origin `<node>/agreements/<agreement>/to/<node>/<epoch>`")]
pub struct BadOrigin;

/// The text of an origin; the names are taken as they are ([`LogOrigin::new`] checks them).
#[must_use]
pub fn log_origin(issuer: &str, agreement: &str, recipient: &str, epoch: u64) -> String {
    format!("{issuer}/agreements/{agreement}/to/{recipient}/{epoch}")
}

impl LogOrigin {
    /// An origin of names that are checked.
    ///
    /// # Errors
    /// [`BadOrigin`] if a name is none, the epoch is 0 or above 2^63 − 1, or a node would issue to itself.
    pub fn new(issuer: &str, agreement: &str, recipient: &str, epoch: u64) -> Result<Self, BadOrigin> {
        let names = is_node(issuer) && is_agreement(agreement) && is_node(recipient) && issuer != recipient;
        if !names || epoch == 0 || epoch > i64::MAX as u64 {
            return Err(BadOrigin);
        }
        Ok(Self { issuer: issuer.into(), agreement: agreement.into(), recipient: recipient.into(), epoch })
    }
}

impl fmt::Display for LogOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&log_origin(&self.issuer, &self.agreement, &self.recipient, self.epoch))
    }
}

impl FromStr for LogOrigin {
    type Err = BadOrigin;

    fn from_str(text: &str) -> Result<Self, BadOrigin> {
        let mut fields = text.split('/');
        let mut next = || fields.next().ok_or(BadOrigin);
        let (issuer, agreements, agreement, to, recipient, epoch) =
            (next()?, next()?, next()?, next()?, next()?, next()?);
        if agreements != "agreements" || to != "to" || fields.next().is_some() {
            return Err(BadOrigin);
        }
        Self::new(issuer, agreement, recipient, decimal(epoch).ok_or(BadOrigin)?)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_one_form_is_an_origin() {
        let text = "node.sv.example/agreements/sv-ca/to/node.ca.example/1";
        assert_eq!(text.parse::<LogOrigin>().map(|o| o.to_string()), Ok(text.to_owned()));
        for bad in [
            "",
            "node.sv.example",
            "https://node.sv.example/agreements/sv-ca/to/node.ca.example/1",
            "node.sv.example/agreements/sv-ca/to/node.ca.example/0",
            "node.sv.example/agreements/sv-ca/to/node.ca.example/01",
            "node.sv.example/agreements/sv-ca/to/node.ca.example/1/",
            "node.sv.example/agreements/sv-ca/to/node.ca.example/1 ",
            "node.sv.example/agreements/sv-ca/to/node.sv.example/1",
            "node.sv.example/agreements/sv-ca/for/node.ca.example/1",
            "node.sv.example/agreements/sv+ca/to/node.ca.example/1",
            "node.sv.example/agreements/sv-ca/to/node.ca.example/9223372036854775808",
        ] {
            assert_eq!(bad.parse::<LogOrigin>(), Err(BadOrigin), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            issuer in "[a-z][a-z0-9]{0,9}(\\.[a-z0-9]{1,8}){0,3}",
            agreement in "[a-z0-9-]{2,64}",
            recipient in "[a-z][a-z0-9]{0,9}(\\.[a-z0-9]{1,8}){0,3}",
            epoch in 1..=i64::MAX as u64,
        ) {
            prop_assume!(issuer != recipient);
            let origin = LogOrigin::new(&issuer, &agreement, &recipient, epoch).expect("valid names");
            prop_assert_eq!(origin.to_string().parse::<LogOrigin>(), Ok(origin));
        }

        #[test]
        fn what_is_read_has_one_spelling(text in "(n\\.a|n\\.b|[ -~]{0,6})/agreements/(sv-ca|[ -~]{0,6})/to/(n\\.c|[ -~]{0,4})/[0-9+ ]{0,20}") {
            if let Ok(origin) = text.parse::<LogOrigin>() {
                prop_assert_eq!(origin.to_string(), text);
            }
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,80}") {
            let _ = text.parse::<LogOrigin>().is_ok();
        }
    }
}
