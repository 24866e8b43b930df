## Questions: what is asked, the rule and where it stands, what was seen.

A1-question = Is the chain intact?
A1-rule = Every file is the one that the manifest names, every hash leads to the signed head (exchange-log.md, Bytes; RFC 6962 §2.1; C2SP tlog-tiles, tlog-checkpoint)
A1-ok = { $examined } entries of { $logs } logs lead to heads that their log keys signed
A1-finding = { $failed } breaks of the chain

A2-question = Are the signatures valid?
A2-rule = Each entry carries one signature of the issuer's record key in force at its index (exchange-log.md, Entry; DSSE v1)
A2-ok = { $examined } entries are signed by the record key in force
A2-finding = { $failed } entries or statements are not signed as they must be

A3-question = Was each key valid then?
A3-rule = Roots of the trust file authorise the keys of each epoch; the partner's mirror cosignatures bound the time (exchange-log.md, Epochs; Attacks)
A3-ok = the roots authorise every key; { $bounded } of { $examined } entries stand under a cosignature that bounds their time
A3-finding = { $failed } keys are not authorised, or a cosignature by one does not hold

A4-question = Are there gaps?
A4-rule = Indices follow each other, a log begins with its epoch, positions never go back, a part is missing only by an ERASE (exchange-log.md, One log; Bundle)
A4-ok = { $examined } entries follow each other without a gap; { $erased } parts are gone by ERASE or were never stored
A4-finding = { $failed } gaps or breaks of the order

A5-question = Are there forks?
A5-rule = One root for each log and size: pinned heads, entangled heads and kept heads agree (exchange-log.md, Attacks: split view, equivocation)
A5-ok = { $examined } signed heads of { $logs } logs lie on one line each; { $pinned } of them are pinned from outside
A5-finding = { $failed } heads contradict each other, or two signed heads of one size are kept as evidence

A6-question = Do both logs match?
A6-rule = Both bundles hold the same entries as far as both reach, and both replays give the same placements (exchange-log.md, Attacks: the auditor merges both sides)
A6-ok = { $examined } entries are the same in both bundles; { $undelivered } are with their issuer alone because they are not yet delivered
A6-finding = { $failed } disagreements between the bundles
A6-recorder = a second bundle, exported by the other state: with one alone only what its partner cosigned is known
A6-condition-none = there is no bundle of the other state: only one, or two of the same exporter

A7-question = Does the replay equal the live state?
A7-rule = The digest of each live row is the one that the node's journal recorded last (issue 3, the journal; exchange-log.md, Bundle: rows)
A7-ok = { $examined } live rows have the digest that the journal recorded last
A7-finding = { $failed } live rows differ from the journal, are missing, or were never recorded, or the journal itself was cut or written anew
A7-condition-none = the bundle holds no digests of live rows, or no journal log to compare them with
A7-condition-some = the bundle of { $silent } holds no digests of live rows, or no journal log to compare them with; { $examined } rows of the other are as its journal recorded them
A7-recorder = an export for an auditor with the file `rows` and the journal log

A8-question = Were there illegal transitions?
A8-rule = The pack's lifecycle: who governs a state decides, numbers follow each other, contradictions are none (agreement.toml [lifecycle])
A8-ok = { $examined } acts and decisions are those that the lifecycle gives
A8-finding = { $failed } acts or decisions are against the lifecycle, or contradict each other

A9-question = Was a gate skipped?
A9-rule = Each act passes the gates that the pack lays on it (agreement.toml [[lifecycle.transitions]] gates, [[lifecycle.facts]] gates, alert_unless)
A9-ok = { $examined } acts passed their gates, as far as the logs can tell
A9-finding = { $failed } acts at a gate: skipped, refused by the partner, or recorded without readiness

A10-question = Was a quota exceeded?
A10-rule = Filled seats never exceed the seats of the job order (agreement.toml lifecycle.holds_seat, gate seat_free)
A10-ok = { $examined } job orders kept within their seats
A10-finding = { $failed } job orders had more candidates or workers than seats

A11-question = Did an unlicensed agency act?
A11-rule = An agency's licences of both states are active when it nominates and when it signs (gate agency_two_licences)
A11-ok = { $examined } acts named an agency; both of its licences were active each time
A11-finding = { $failed } agencies lost a licence of one state, or acted without it

A12-question = Was a fee charged?
A12-rule = The pack's fee rule (agreement.toml [fees]) against what was observed of the worker's costs
A12-ok = { $examined } observed contracts name no deduction for recruitment
A12-finding = { $failed } observed contracts name a fee or a deduction that the agreement forbids
A12-condition-none = no message of the agreement carries a fee or a deduction, so that none was recorded
A12-recorder = a field of the agreement's observed contract for fees and deductions, filled at a workplace visit or from a complaint

A13-question = Were terms worsened (substitution)?
A13-rule = Contract and observed terms are not worse than the job order and the agreed contract (gate terms_not_worse; options `compare` of the pack)
A13-ok = { $examined } contracts and observations were compared; none was worse
A13-finding = { $failed } orders or placements with terms worse than agreed

A14-question = Were events late?
A14-rule = A record is under the partner's mirror cosignature within the pack's cosign_deadline_hours ({ $hours } h); records marked historical are not judged
A14-ok = { $examined } records were cosigned in time; from event to record half of them took at most { $median } and the slowest { $slowest }
A14-finding = { $failed } records were cosigned after the deadline, or passed it without a cosignature

A15-question = Who read whom?
A15-rule = Every read of personal data is an entry of the node's journal with reader, office and purpose (issue 3, the journal)
A15-ok = { $examined } reads are in the journal, by { $readers } readers for { $purposes } purposes
A15-finding = { $failed } reads name no purpose
A15-condition-none = the bundle holds no journal log
A15-condition-some = the bundle of { $silent } holds no journal log; { $examined } reads are in the other
A15-recorder = the node's journal log with its parts (an export for an auditor, `full`)

A16-question = Did a forbidden field cross?
A16-rule = A field crosses from its disclosure stage on, never before (options `cross` of the pack; exchange-log.md: UNDISCLOSED)
A16-ok = { $examined } parts hold only fields of the stage that their placement had reached
A16-finding = { $failed } records carried a field before its stage; those that the partner rejected were dropped unstored

A17-question = Is consent present?
A17-rule = The worker's consent stands when the placement first crosses (gate consent)
A17-ok = { $examined } first crossings have their consent
A17-finding = { $failed } records were refused for want of consent
A17-condition-none = { $examined } placements crossed under their issuer's word that consent stands; consents themselves never cross
A17-recorder = the consents in the origin's registry, which its journal records; they are inspected there

A18-question = Was it erased on time?
A18-rule = Each ERASE has its answer, and no part is held past its class's months after the placement's end or erased before its minimum (agreement.toml [retention])
A18-ok = { $orders } erasures are ordered and answered; { $examined } ended placements have no part past its time
A18-finding = { $failed } erasures have no answer in time, or parts are held past their retention or erased before it

A19-question = Are corrections justified?
A19-rule = A correction names an earlier record of the same issuer and subject (Part.supersedes)
A19-ok = { $examined } corrections each name an earlier record of the same subject
A19-finding = { $failed } corrections name no earlier record, or one of another subject

A20-question = Do published figures reproduce?
A20-rule = Each published figure is what the replay counts (domain.md, Indicators)
A20-ok = { $examined } published figures are what the replay counts
A20-finding = { $failed } published figures are not what the replay counts: { $which }
A20-condition-none = no published figures were given
A20-recorder = the published figures as a file: `report --figures FILE`

## What is common to the questions.

condition-integrity = not judged: the integrity of what was read does not hold
condition-gone = { $count } of what was to be judged could not be: parts of it are gone by ERASE, or are in none of the bundles
condition-no-logs = the bundles hold no pair of logs of an agreement to replay
condition-none-seen = nothing to judge was recorded
recorder-use = use of the exchange: acts of this kind will be recorded when they happen

## Findings.

finding-agency-suspended = { $states } suspended the licence of agency { $name }; { $rejected } of its acts were rejected by the partner, { $refused } refused at home
finding-terms-refused = a contract with worse terms than its job order was refused: { $paths }
finding-substitution = worse terms in use than were agreed: { $terms }
finding-term = { $path }: agreed { $agreed }, observed { $observed }
finding-contradiction = facts that cannot both be true: { $facts }
finding-deadline = time limits missed: { $deadlines }
finding-departed = departed while in state { $state }
finding-oversubscribed = { $candidates } candidates for { $seats } seats: { $allocated } were allocated, { $told } were told that there is none
finding-rejected = { $count } records of { $party } were rejected: { $reason }
finding-rejected-gate = { $count } records of { $party } were rejected: { $reason } (gate { $gate })
finding-erased-early = part of class `{ $class }` was erased before its minimum retention
finding-gate-skipped = { $party } issued `{ $act }` against its own rules: { $why }
finding-diverges = { $party } decided { $decided } where the rules say { $replayed }
and-joined = { $first } and { $second }

## Words of the pages.

title = Audit of an exchange
label-answers = Answers
label-findings = Findings
label-no-findings = No findings.
label-bundles = What was read
label-timeline = Timeline
label-limits = What this report cannot show
label-code = Code
label-question = Question
label-answer = Answer
label-examined = Examined
label-failed = Failed
label-gone = Not judged
label-criterion = Criterion
label-condition = Condition
label-evidence = Evidence
label-gravity = Gravity
label-subject = Subject
label-recorder = What would record it
label-log = Log
label-entries = Entries
label-delivered = Delivered
label-records = Records
label-accepted = Accepted
label-rejected = Rejected
label-month = Month
label-exporter = Exported by
label-agreement = Agreement
label-integrity = Integrity
label-problems = Problems of integrity
label-more = and { $count } more
label-timeline-caption = Entries, rejections and findings by month and log
timeline-legend = A bar counts the records of a month, its light upper part those that were rejected; a triangle marks a month with findings. The table below has every number.
integrity-holds = holds
integrity-broken = DOES NOT HOLD
answer-ok = OK
answer-finding = FINDING
answer-indeterminate = INDETERMINATE
answer-not-recorded = NOT RECORDED
gravity-informative = informative
gravity-minor = minor
gravity-serious = serious
gravity-grave = grave
summary-counts = { $ok } OK, { $finding } with findings, { $indeterminate } indeterminate, { $missing } not recorded
limit-collusion = That both states rewrote their logs together is not excluded: no independent witness has cosigned them.
limit-pinned = { $count } heads are pinned from outside; entries below them were not rewritten since.
limit-witnessed = Independent witnesses have cosigned every log: { $names }.
limit-outside = What never entered a log cannot be seen: an act on paper, a payment, a threat.
limit-word = What a state refused at home is its own word; no log holds it.
limit-values = The audit shows that a statement was made, by whom and when; not that it is true.
