//! The table of floors. What stands behind each: `proto/agreements/README.md` and the corridors' own READMEs.

use super::{Floor, Reading, Seen};
use crate::config::Framework::{C97, C143, C181, C189, FairRecruitment, Icmw};
use crate::config::Recruiter;
use crate::lifecycle::{Gate, StateId};
use crate::plan::{Compare, FieldPlan};

/// Where a rule is broken, and how.
type Broken = Option<(String, String)>;

pub(super) const FLOORS: &[Floor] = &[
    Floor {
        id: "fee/worker-none",
        from: &[
            (FairRecruitment, "definition of recruitment fees and related costs (2018)", Reading::Read),
            (C181, "article 7", Reading::NotRead),
        ],
        binding: true,
        waivable: false,
        instead: "fees.worker_may_pay = [], and \"recruitment\" among fees.never",
        test: no_fee,
    },
    Floor {
        id: "fee/public-service-free",
        from: &[(C97, "annexes: services of public employment services are free", Reading::Read)],
        binding: true,
        waivable: false,
        instead: "take \"recruitment\" and \"placement\" out of fees.worker_may_pay",
        test: public_service_free,
    },
    Floor {
        id: "docs/no-custody",
        from: &[(Icmw, "article 21", Reading::Read)],
        binding: true,
        waivable: false,
        instead: "no act or field about who keeps a worker's papers; teach `rights` or `documents` in mandatory_modules",
        test: no_custody,
    },
    Floor {
        id: "expel/no-collective",
        from: &[(Icmw, "article 22", Reading::Read)],
        binding: true,
        waivable: false,
        instead: "data.enforcement_use = \"forbidden\"",
        test: no_enforcement,
    },
    Floor {
        id: "permit/not-merely-contract",
        from: &[(Icmw, "article 20", Reading::Read)],
        binding: true,
        waivable: true,
        instead: "give the act that takes a permit away the gate `reason_given`",
        test: permit_needs_reason,
    },
    Floor {
        id: "contract/understood",
        from: &[
            (FairRecruitment, "general principles: clear and transparent contracts", Reading::NotRead),
            (C189, "article 8", Reading::NotRead),
        ],
        binding: true,
        waivable: true,
        instead: "let a message carry event.acceptance_method, event.language and the SHA-256 of the text or recording",
        test: understood,
    },
    Floor {
        id: "info/free",
        from: &[(C97, "article 2", Reading::Read)],
        binding: true,
        waivable: false,
        instead: "name mandatory_modules, and a fact with the gate `mandatory_modules` that says they were taught",
        test: informed,
    },
    Floor {
        id: "equal/terms",
        from: &[(C97, "article 6", Reading::NotRead), (C143, "article 10", Reading::NotRead)],
        binding: true,
        waivable: true,
        instead: "set `compare` on wage_rate and on weekly_hours_tenths of every message of contract terms",
        test: terms_compared,
    },
    Floor {
        id: "job-loss/not-irregular",
        from: &[(C143, "article 8", Reading::NotRead)],
        binding: true,
        waivable: true,
        instead: "let another employer take the worker: a transition between states that hold a seat, or out of the end",
        test: job_loss,
    },
    Floor {
        id: "free/choice",
        from: &[(C143, "article 14", Reading::NotRead)],
        binding: false,
        waivable: false,
        instead: "a transition from employment to another order, such as `transfer`",
        test: free_choice,
    },
    Floor {
        id: "leave/never-blocked",
        from: &[],
        binding: true,
        waivable: false,
        instead: "remove the gates: leaving is recorded and may raise an alert, it is never refused",
        test: never_blocked,
    },
    Floor {
        id: "age/fifteen",
        from: &[],
        binding: true,
        waivable: false,
        instead: "minimum_age = 18",
        test: |seen| (seen.config.minimum_age < 15).then(|| at("minimum_age", "workers may be younger than 15")),
    },
    Floor {
        id: "age/eighteen",
        from: &[],
        binding: false,
        waivable: false,
        instead: "minimum_age = 18, or a clause that says why not",
        test: |seen| (seen.config.minimum_age < 18).then(|| at("minimum_age", "workers may be younger than 18")),
    },
];

fn at(key: &str, problem: &str) -> (String, String) {
    (key.to_owned(), problem.to_owned())
}

fn fields<'a>(seen: &'a Seen<'_>) -> impl Iterator<Item = &'a FieldPlan> {
    seen.plans.values().flat_map(|plan| &plan.fields)
}

fn carries(seen: &Seen<'_>, path: &str) -> bool {
    fields(seen).any(|field| field.source.as_str() == path)
}

fn no_fee(seen: &Seen<'_>) -> Broken {
    let fees = seen.config.fees.as_ref()?;
    if let Some(kind) = fees.worker_may_pay.first() {
        return Some(("fees.worker_may_pay".to_owned(), format!("a worker may be charged `{kind}`")));
    }
    let never = fees.never.iter().any(|kind| kind == "recruitment");
    (!never).then(|| at("fees.never", "recruitment is not among what a worker never pays"))
}

fn public_service_free(seen: &Seen<'_>) -> Broken {
    let fees = seen.config.fees.as_ref()?;
    let public = seen.config.recruiters.contains(&Recruiter::PublicEmploymentService);
    let charged = fees.worker_may_pay.iter().any(|kind| kind == "recruitment" || kind == "placement");
    (public && charged).then(|| at("fees.worker_may_pay", "the public employment service recruits, and may charge"))
}

fn no_custody(seen: &Seen<'_>) -> Broken {
    const WORDS: [&str; 6] = ["custody", "passport_held", "retain", "retained", "confiscated", "withheld_document"];
    let holds = |name: &str| WORDS.iter().any(|word| format!("_{name}_").contains(&format!("_{word}_")));
    let lifecycle = &seen.config.lifecycle;
    let acts = lifecycle.transitions.iter().enumerate().map(|(n, act)| ("transitions", n, &act.name));
    let facts = lifecycle.facts.iter().enumerate().map(|(n, act)| ("facts", n, &act.name));
    for (list, index, name) in acts.chain(facts) {
        if holds(name) {
            return Some((
                format!("lifecycle.{list}[{index}].name"),
                "an act says who keeps a worker's papers".to_owned(),
            ));
        }
    }
    if fields(seen).any(|field| holds(field.field.name())) {
        return Some(at("proto", "a field says who keeps a worker's papers"));
    }
    let taught = seen.config.mandatory_modules.iter().any(|module| module == "documents" || module == "rights");
    (!taught).then(|| at("mandatory_modules", "no module teaches that papers stay with the worker"))
}

fn no_enforcement(seen: &Seen<'_>) -> Broken {
    seen.config.data.is_none().then(|| at("data", "nothing forbids use of the data for enforcement"))
}

fn permit_needs_reason(seen: &Seen<'_>) -> Broken {
    let takes = |name: &str| name.contains("revoke") || name.contains("cancel");
    let broken = seen.lifecycle.transitions.iter().position(|act| {
        let reasoned = act.gates.iter().any(|gate| gate.is(Gate::ReasonGiven));
        takes(&act.name) && !reasoned
    });
    broken
        .map(|index| (format!("lifecycle.transitions[{index}].gates"), "a permit is taken without a reason".to_owned()))
}

fn understood(seen: &Seen<'_>) -> Broken {
    let text = ["contract.text_sha256", "event.text_sha256", "event.audio_sha256"];
    let evidence = ["event.acceptance_method", "event.language"].iter().all(|path| carries(seen, path));
    let known = evidence && text.iter().any(|path| carries(seen, path));
    (!known).then(|| at("lifecycle.transitions", "no act shows that the worker understood and accepted the contract"))
}

fn informed(seen: &Seen<'_>) -> Broken {
    if seen.config.mandatory_modules.is_empty() {
        return Some(at("mandatory_modules", "nothing is taught before departure"));
    }
    let facts = seen.lifecycle.facts.iter().flat_map(|fact| &fact.gates);
    let transitions = seen.lifecycle.transitions.iter().flat_map(|act| &act.gates);
    let taught = facts.chain(transitions).any(|gate| gate.is(Gate::MandatoryModules));
    (!taught).then(|| at("lifecycle.facts", "no act says that the worker was informed"))
}

fn terms_compared(seen: &Seen<'_>) -> Broken {
    let compared = |term: &str| {
        let mut of_term =
            fields(seen).filter(|field| field.source.as_str() == format!("contract.terms.{term}")).peekable();
        of_term.peek().is_some() && of_term.all(|field| field.compare != Compare::Never)
    };
    let missing = ["wage_rate", "weekly_hours_tenths"].into_iter().find(|term| !compared(term))?;
    Some((
        "proto".to_owned(),
        format!("contract.terms.{missing} is not compared everywhere, so it may be made worse unseen"),
    ))
}

fn ends(seen: &Seen<'_>, state: StateId) -> bool {
    seen.config.retention.is_end(seen.lifecycle.state_name(state))
}

/// Whether a worker can go on from one job to another.
fn goes_on(seen: &Seen<'_>) -> bool {
    seen.lifecycle.transitions.iter().any(|act| {
        let seated = seen.lifecycle.holds_seat(act.to) && act.from.iter().any(|from| seen.lifecycle.holds_seat(*from));
        let moves = act.name.contains("transfer") && seated;
        moves || (act.from.iter().any(|from| ends(seen, *from)) && !ends(seen, act.to))
    })
}

fn job_loss(seen: &Seen<'_>) -> Broken {
    (!goes_on(seen)).then(|| at("lifecycle.transitions", "who loses the job can only leave"))
}

fn free_choice(seen: &Seen<'_>) -> Broken {
    let transfers = seen.lifecycle.transitions.iter().any(|act| act.name.contains("transfer"));
    (!transfers).then(|| at("lifecycle.transitions", "a worker cannot change employer"))
}

fn never_blocked(seen: &Seen<'_>) -> Broken {
    const LEAVING: [&str; 5] = ["departed", "exited", "left", "crossed_out", "withdrawn"];
    let blocked = seen.lifecycle.facts.iter().position(|fact| {
        let early = fact.name == "departed" && fact.needs_stage.is_some_and(|stage| stage.index() > 0);
        LEAVING.contains(&fact.name.as_str()) && (early || !fact.gates.is_empty())
    })?;
    Some((format!("lifecycle.facts[{blocked}]"), "leaving is tied to a condition".to_owned()))
}
