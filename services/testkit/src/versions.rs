//! Versions of sv-ca, and orders about it.

use std::fs;
use std::sync::Arc;

use convenio_agreement::Pack;
use convenio_seal::order::sign_order;
use convenio_wire::exchange::v1::agreement_order::Order;
use convenio_wire::exchange::v1::{AgreementOrder, ResumptionOrder, SuspensionOrder, TerminationNotice};

use crate::treaty::{Party, SV_CA};

/// The version that amends `before`, with these words of `agreement.toml` replaced.
///
/// # Panics
/// If a word is not there, or the result is no pack.
#[must_use]
pub fn amending(before: &Pack, words: &[(&str, &str)]) -> Arc<Pack> {
    edited(before, |text| {
        let line = format!("\nformat = 2\namends = \"{}\"\n", hex::encode(before.digest()));
        let kept: String = text.lines().filter(|line| !line.starts_with("amends = ")).flat_map(|l| [l, "\n"]).collect();
        words.iter().fold(kept.replacen("\nformat = 2\n", &line, 1), |text, (old, new)| {
            assert!(text.contains(old), "agreement.toml has no {old}");
            text.replace(old, new)
        })
    })
}

/// The same version with these lines as its `[validity]`.
///
/// # Panics
/// If it has none, or the result is no pack.
#[must_use]
pub fn valid(pack: &Pack, lines: &str) -> Arc<Pack> {
    edited(pack, |text| {
        let (before, rest) = text.split_once("\n[validity]\n").unwrap();
        let (_, after) = rest.split_once("\n\n").unwrap();
        format!("{before}\n[validity]\n{lines}\n\n{after}")
    })
}

fn edited(pack: &Pack, edit: impl FnOnce(&str) -> String) -> Arc<Pack> {
    let dir = tempfile::tempdir().unwrap();
    pack.files().write_to(dir.path()).unwrap();
    let path = dir.path().join("agreements").join(pack.id()).join("agreement.toml");
    fs::write(&path, edit(&fs::read_to_string(&path).unwrap())).unwrap();
    Arc::new(Pack::load(&dir.path().join("agreements"), pack.id()).unwrap())
}

impl Party {
    /// An order about sv-ca as the roots sign it.
    #[must_use]
    pub fn order(&self, number: u64, order: Order) -> Vec<u8> {
        let said = AgreementOrder {
            agreement: SV_CA.to_owned(),
            party: self.party.clone(),
            number,
            reason_code: "test".to_owned(),
            order: Some(order),
        };
        sign_order(&said, &self.signers()).unwrap().to_json().into_bytes()
    }

    /// A suspension of everything, until it is withdrawn.
    #[must_use]
    pub fn suspends(&self, number: u64) -> Vec<u8> {
        self.order(number, Order::Suspend(SuspensionOrder::default()))
    }

    /// The withdrawal of an order.
    #[must_use]
    pub fn resumes(&self, number: u64, of: u64) -> Vec<u8> {
        self.order(number, Order::Resume(ResumptionOrder { of }))
    }

    /// A notice of termination.
    #[must_use]
    pub fn terminates(&self, number: u64, effective_ms: u64) -> Vec<u8> {
        self.order(number, Order::Terminate(TerminationNotice { effective_ms }))
    }
}
