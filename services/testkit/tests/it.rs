//! Two states exchange records, and one of them, the line or time may fail.
#![allow(clippy::unwrap_used)]

mod it {
    mod amend;
    mod auditor;
    mod canaries;
    mod consulate;
    mod cosign;
    mod dishonest;
    mod erasure;
    mod examples;
    mod faults;
    mod flaws;
    mod independent;
    mod joining;
    mod journal;
    mod keys;
    mod links;
    mod loss;
    mod negotiation;
    mod neighbours;
    mod nodes;
    mod refill;
    mod regional;
    mod reload;
    mod season;
    mod sim;
    mod south;
    mod unharmed;
    mod witness;
}
