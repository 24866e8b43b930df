//! What a certificate does not say: which nodes are partners, a post's district, who is limited to which agreements.

use std::collections::{BTreeMap, HashMap};

use convenio_model::Identity;

use crate::access::CONSULATE;

/// Most districts or agreements in one line of the table.
const MAX_LIST: usize = 256;

/// The table of principals, from the node's configuration. It only ever narrows what a certificate says.
#[derive(Debug, Clone)]
pub struct Principals {
    own: String,
    partners: BTreeMap<String, String>,
    posts: BTreeMap<String, Post>,
    limits: HashMap<Identity, Vec<String>>,
}

#[derive(Debug, Clone)]
struct Post {
    districts: Vec<String>,
    agreements: Vec<String>,
}

/// A line of the table is no such line. Names the line as the configuration has it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrincipalsError {
    /// The trust domain or node has a line already, or the trust domain is the own one.
    #[error("partner {0}: its trust domain or node is this state's own or stands twice")]
    Partner(String),
    /// The post has a line already, or its name is not that of a post.
    #[error("post {0}: not <organisation>/<post> in lower-case letters, digits, '.' and '-', or it stands twice")]
    Post(String),
    /// Not a list of ISO 3166-2 codes.
    #[error("post {0}: districts must be 1 to 256 codes of ISO 3166-2, for example CA-ON")]
    Districts(String),
    /// Not a list of agreements.
    #[error("{0}: agreements must be 1 to 256 names of agreements, for example sv-ca")]
    Agreements(String),
    /// The certificate is not of this state, or has a line already.
    #[error("{0}: not a certificate of this state, or it stands twice")]
    Limit(String),
}

/// On which side of the border a caller stands, and how far it reaches there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Of this state.
    Own {
        /// ISO 3166-2 subdivisions of a consulate's post; empty for other roles.
        districts: Vec<String>,
        /// Agreements it is limited to, at least one; `None` for all.
        agreements: Option<Vec<String>>,
    },
    /// Of a partner.
    Partner {
        /// The partner's node.
        node: String,
    },
}

/// Why a caller has no standing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoStanding {
    /// Its trust domain is neither this state's nor a partner's.
    TrustDomain,
    /// A consulate whose post is not in the table.
    Post,
    /// Nothing is left between the post's agreements and the certificate's.
    Agreements,
}

impl Principals {
    /// A table for the state with this trust domain, without partners or posts.
    #[must_use]
    pub fn new(own_trust_domain: impl Into<String>) -> Self {
        Self { own: own_trust_domain.into(), partners: BTreeMap::new(), posts: BTreeMap::new(), limits: HashMap::new() }
    }

    /// Adds a partner: the trust domain of its certificates and the name of its node, e.g. `node.ca.example`.
    ///
    /// # Errors
    /// [`PrincipalsError::Partner`].
    pub fn partner(
        mut self,
        trust_domain: impl Into<String>,
        node: impl Into<String>,
    ) -> Result<Self, PrincipalsError> {
        let (trust_domain, node) = (trust_domain.into(), node.into());
        let known = self.partners.contains_key(&trust_domain) || self.partners.values().any(|other| *other == node);
        if known || trust_domain == self.own {
            return Err(PrincipalsError::Partner(trust_domain));
        }
        self.partners.insert(trust_domain, node);
        Ok(self)
    }

    /// Adds a consular post of this state, `<organisation>/<post>` as in its certificates, with the ISO 3166-2
    /// subdivisions of its district and the agreements it works under; neither may be empty.
    ///
    /// # Errors
    /// [`PrincipalsError`] naming the post.
    pub fn post(
        mut self,
        name: impl Into<String>,
        districts: Vec<String>,
        agreements: Vec<String>,
    ) -> Result<Self, PrincipalsError> {
        let name = name.into();
        let lower = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-';
        let segment = |text: &str| !text.is_empty() && text.bytes().all(lower);
        let two = name.split_once('/').is_some_and(|(organisation, post)| segment(organisation) && segment(post));
        if !two || self.posts.contains_key(&name) {
            return Err(PrincipalsError::Post(name));
        }
        if !fits(&districts, is_subdivision) {
            return Err(PrincipalsError::Districts(name));
        }
        if !fits(&agreements, is_agreement) {
            return Err(PrincipalsError::Agreements(format!("post {name}")));
        }
        self.posts.insert(name, Post { districts, agreements });
        Ok(self)
    }

    /// Limits a certificate of this state to some agreements; it may then call only what can be told apart by
    /// agreement.
    ///
    /// # Errors
    /// [`PrincipalsError`] naming the certificate's identity.
    pub fn limit(mut self, identity: Identity, agreements: Vec<String>) -> Result<Self, PrincipalsError> {
        if identity.trust_domain != self.own || self.limits.contains_key(&identity) {
            return Err(PrincipalsError::Limit(identity.to_string()));
        }
        if !fits(&agreements, is_agreement) {
            return Err(PrincipalsError::Agreements(identity.to_string()));
        }
        self.limits.insert(identity, agreements);
        Ok(self)
    }

    pub(crate) fn standing(&self, identity: &Identity) -> Result<Standing, NoStanding> {
        if identity.trust_domain != self.own {
            let node = self.partners.get(&identity.trust_domain).ok_or(NoStanding::TrustDomain)?;
            return Ok(Standing::Partner { node: node.clone() });
        }
        let limit = self.limits.get(identity);
        if identity.role != CONSULATE {
            return Ok(Standing::Own { districts: Vec::new(), agreements: limit.cloned() });
        }
        let name = identity.post.as_ref().map(|post| format!("{}/{post}", identity.organisation));
        let post = name.and_then(|name| self.posts.get(&name)).ok_or(NoStanding::Post)?;
        let allowed = |agreement: &&String| limit.is_none_or(|limit| limit.contains(*agreement));
        let agreements: Vec<_> = post.agreements.iter().filter(allowed).cloned().collect();
        if agreements.is_empty() {
            return Err(NoStanding::Agreements);
        }
        Ok(Standing::Own { districts: post.districts.clone(), agreements: Some(agreements) })
    }
}

fn fits(list: &[String], item: fn(&str) -> bool) -> bool {
    (1..=MAX_LIST).contains(&list.len()) && list.iter().all(|text| item(text))
}

/// ISO 3166-2: two letters, a hyphen, one to three letters or digits.
fn is_subdivision(text: &str) -> bool {
    text.split_once('-').is_some_and(|(country, subdivision)| {
        country.len() == 2
            && country.bytes().all(|b| b.is_ascii_uppercase())
            && (1..=3).contains(&subdivision.len())
            && subdivision.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
    })
}

fn is_agreement(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (2..=64).contains(&text.len()) && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn list(items: &[&str]) -> Vec<String> {
        items.iter().map(|item| (*item).to_owned()).collect()
    }

    fn identity(path: &str) -> Identity {
        format!("spiffe://{path}").parse().unwrap()
    }

    fn principals() -> Principals {
        Principals::new("sv.example")
            .partner("ca.example", "node.ca.example")
            .unwrap()
            .post("mre/toronto", list(&["CA-ON", "CA-MB"]), list(&["sv-ca", "sv-ca-care"]))
            .unwrap()
            .post("mint/toronto", list(&["CA-ON", "CA-MB"]), list(&["sv-ca", "sv-ca-care"]))
            .unwrap()
            .post("x/toronto", list(&["CA-ON"]), list(&["sv-ca"]))
            .unwrap()
            .limit(identity("sv.example/consulate/mre/toronto"), list(&["sv-ca"]))
            .unwrap()
            .limit(identity("sv.example/operator/mtps"), list(&["sv-us"]))
            .unwrap()
    }

    #[test]
    fn a_consulate_reaches_its_district_under_what_post_and_certificate_share() {
        let reach = |agreements: &[&str]| Standing::Own {
            districts: list(&["CA-ON", "CA-MB"]),
            agreements: Some(list(agreements)),
        };
        let table = principals();
        assert_eq!(table.standing(&identity("sv.example/consulate/mre/toronto")), Ok(reach(&["sv-ca"])));
        assert_eq!(table.standing(&identity("sv.example/consulate/mint/toronto")), Ok(reach(&["sv-ca", "sv-ca-care"])));
    }

    #[test]
    fn who_is_not_in_the_table_has_no_standing() {
        let table = principals().limit(identity("sv.example/consulate/x/toronto"), list(&["sv-us"])).unwrap();
        let cases = [
            ("sv.example/consulate/mre/montreal", NoStanding::Post),
            ("sv.example/consulate/other/toronto", NoStanding::Post),
            ("sv.example/consulate/mre", NoStanding::Post),
            ("sv.example/consulate/x/toronto", NoStanding::Agreements),
            ("us.example/node/us", NoStanding::TrustDomain),
            ("x.sv.example/operator/mtps", NoStanding::TrustDomain),
        ];
        for (path, expected) in cases {
            assert_eq!(table.standing(&identity(path)), Err(expected), "{path}");
        }
    }

    #[test]
    fn partners_are_known_by_their_node_and_others_by_their_limit() {
        let table = principals();
        let partner = Standing::Partner { node: "node.ca.example".to_owned() };
        assert_eq!(table.standing(&identity("ca.example/node/ca")), Ok(partner));
        let own = |agreements| Standing::Own { districts: Vec::new(), agreements };
        assert_eq!(table.standing(&identity("sv.example/operator/mtps")), Ok(own(Some(list(&["sv-us"])))));
        assert_eq!(table.standing(&identity("sv.example/integration/mtps")), Ok(own(None)));
    }

    #[test]
    fn lines_that_cannot_be_are_refused_by_name() {
        let one = || list(&["sv-ca"]);
        let cases = [
            principals().partner("sv.example", "node.sv.example"),
            principals().partner("ca.example", "other.ca.example"),
            principals().partner("other.example", "node.ca.example"),
            principals().post("mre/toronto", list(&["CA-ON"]), one()),
            principals().post("mre/Toronto", list(&["CA-ON"]), one()),
            principals().post("mre/vancouver", list(&["BC"]), one()),
            principals().post("mre/vancouver", list(&["CA-"]), one()),
            principals().post("mre/vancouver", Vec::new(), one()),
            principals().post("mre/vancouver", list(&["CA-BC"]), Vec::new()),
            principals().post("mre/vancouver", list(&["CA-BC"]), list(&["SV_CA"])),
            principals().limit(identity("ca.example/operator/esdc"), one()),
            principals().limit(identity("sv.example/operator/mtps"), one()),
            principals().limit(identity("sv.example/auditor/cort"), Vec::new()),
        ];
        for case in cases {
            let error = case.map(drop).unwrap_err().to_string();
            assert!(["toronto", "Toronto", "vancouver", "example"].iter().any(|n| error.contains(n)), "{error}");
        }
    }
}
