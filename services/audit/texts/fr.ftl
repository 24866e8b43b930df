## Questions : ce qui est demandé, la règle et où elle se trouve, ce qui a été vu.

A1-question = La chaîne est-elle intacte ?
A1-rule = Chaque fichier est celui que nomme le manifeste et chaque empreinte mène à la tête signée (exchange-log.md, Bytes ; RFC 6962 §2.1 ; C2SP tlog-tiles, tlog-checkpoint)
A1-ok = { $examined } écritures de { $logs } journaux d'échange mènent à des têtes signées par leurs clés
A1-finding = { $failed } ruptures de la chaîne

A2-question = Les signatures sont-elles valables ?
A2-rule = Chaque écriture porte une signature de la clé d'écriture de son émetteur en vigueur à cet indice (exchange-log.md, Entry ; DSSE v1)
A2-ok = { $examined } écritures sont signées par la clé en vigueur
A2-finding = { $failed } écritures ou déclarations ne sont pas signées comme elles le doivent

A3-question = Chaque clé était-elle alors valable ?
A3-rule = Les racines du fichier de confiance autorisent les clés de chaque époque ; les cosignatures du miroir du partenaire bornent le temps (exchange-log.md, Epochs ; Attacks)
A3-ok = les racines autorisent toutes les clés ; { $bounded } des { $examined } écritures sont sous une cosignature qui borne leur temps
A3-finding = { $failed } clés ne sont pas autorisées, ou une de leurs cosignatures ne tient pas

A4-question = Y a-t-il des lacunes ?
A4-rule = Les indices se suivent, un journal commence par son époque, les positions ne reculent jamais, une partie ne manque que par un ERASE (exchange-log.md, One log ; Bundle)
A4-ok = { $examined } écritures se suivent sans lacune ; { $erased } parties ont été effacées par ERASE ou jamais conservées
A4-finding = { $failed } lacunes ou ruptures de l'ordre

A5-question = Y a-t-il des bifurcations ?
A5-rule = Une seule racine par journal et par taille : les têtes fixées, entrelacées et conservées concordent (exchange-log.md, Attacks: split view, equivocation)
A5-ok = { $examined } têtes signées de { $logs } journaux sont chacune sur une seule ligne ; { $pinned } d'entre elles sont fixées de l'extérieur
A5-finding = { $failed } têtes se contredisent, ou deux têtes signées d'une même taille sont gardées comme preuve

A6-question = Les deux journaux concordent-ils ?
A6-rule = Les deux dossiers contiennent les mêmes écritures jusqu'où tous deux vont, et les deux rejeux donnent les mêmes placements (exchange-log.md, Attacks: the auditor merges both sides)
A6-ok = { $examined } écritures sont les mêmes dans les deux dossiers ; { $undelivered } ne sont que chez leur émetteur, n'étant pas encore livrées
A6-finding = { $failed } désaccords entre les dossiers
A6-recorder = un second dossier, exporté par l'autre État : avec un seul on ne sait que ce que son partenaire a cosigné
A6-condition-none = il n'y a pas de dossier de l'autre État : un seul, ou deux du même exportateur

A7-question = Le rejeu est-il égal à l'état vivant ?
A7-rule = L'empreinte de chaque ligne vivante est la dernière que le registre d'accès et de changements du nœud a notée (issue 3, the journal ; exchange-log.md, Bundle: rows)
A7-ok = { $examined } lignes vivantes ont l'empreinte notée en dernier
A7-finding = { $failed } lignes vivantes diffèrent, manquent ou n'ont jamais été notées, ou le registre lui-même a été coupé ou réécrit
A7-condition-none = le dossier ne contient pas d'empreintes de lignes vivantes, ou rien à quoi les comparer
A7-condition-some = le dossier de { $silent } ne contient pas d'empreintes de lignes vivantes, ou rien à quoi les comparer ; { $examined } lignes de l'autre sont comme son registre les a notées
A7-recorder = une exportation pour audit avec le fichier `rows` et le registre d'accès et de changements

A8-question = Y a-t-il eu des transitions illégales ?
A8-rule = Le cycle de vie de l'accord : décide qui gouverne l'état, les numéros se suivent, il n'y a pas de contradiction (agreement.toml [lifecycle])
A8-ok = { $examined } actes et décisions sont ceux que donne le cycle de vie
A8-finding = { $failed } actes ou décisions sont contraires au cycle de vie ou se contredisent

A9-question = Une condition a-t-elle été sautée ?
A9-rule = Chaque acte remplit les conditions que l'accord lui impose (agreement.toml [[lifecycle.transitions]] gates, [[lifecycle.facts]] gates, alert_unless)
A9-ok = { $examined } actes ont rempli leurs conditions, autant que les journaux permettent de le savoir
A9-finding = { $failed } actes devant une condition : sautée, refusée par le partenaire, ou sans être prêt à voyager

A10-question = Un quota a-t-il été dépassé ?
A10-rule = Les places occupées ne dépassent jamais celles de l'offre d'emploi (agreement.toml lifecycle.holds_seat, condition seat_free)
A10-ok = { $examined } offres d'emploi sont restées dans leurs places
A10-finding = { $failed } offres d'emploi ont eu plus de candidats ou de travailleurs que de places

A11-question = Une agence sans licence a-t-elle agi ?
A11-rule = Les licences de l'agence dans les deux États sont actives à la nomination et à la signature (condition agency_two_licences)
A11-ok = { $examined } actes nommaient une agence ; ses deux licences étaient actives chaque fois
A11-finding = { $failed } agences ont perdu la licence d'un État, ou ont agi sans elle

A12-question = Des frais ont-ils été perçus ?
A12-rule = La règle de frais de l'accord (agreement.toml [fees]) face à ce qui a été observé des coûts du travailleur
A12-ok = { $examined } contrats observés ne nomment aucune retenue pour recrutement
A12-finding = { $failed } contrats observés nomment des frais ou une retenue que l'accord interdit
A12-condition-none = aucun message de l'accord ne porte de frais ni de retenue, si bien qu'il n'en a été noté aucun
A12-recorder = un champ du contrat observé de l'accord pour les frais et retenues, rempli lors d'une visite ou par une plainte

A13-question = Les conditions ont-elles été aggravées (substitution) ?
A13-rule = Le contrat et l'observé ne sont pas pires que l'offre d'emploi et le contrat convenu (condition terms_not_worse ; options `compare` de l'accord)
A13-ok = { $examined } contrats et observations ont été comparés ; aucun n'était pire
A13-finding = { $failed } offres ou placements aux conditions pires que convenu

A14-question = Y a-t-il eu des faits tardifs ?
A14-rule = Un acte est sous la cosignature du miroir du partenaire dans le délai cosign_deadline_hours de l'accord ({ $hours } h) ; ceux marqués historiques ne sont pas jugés
A14-ok = { $examined } actes ont été cosignés à temps ; du fait à l'écriture la moitié a pris au plus { $median } et le plus lent { $slowest }
A14-finding = { $failed } actes ont été cosignés après le délai, ou l'ont passé sans cosignature

A15-question = Qui a lu qui ?
A15-rule = Chaque lecture de données personnelles est notée au registre d'accès du nœud avec lecteur, bureau et finalité (issue 3, the journal)
A15-ok = { $examined } lectures sont notées, de { $readers } lecteurs pour { $purposes } finalités
A15-finding = { $failed } lectures ne nomment pas de finalité
A15-condition-none = le dossier ne contient pas de registre d'accès
A15-condition-some = le dossier de { $silent } ne contient pas de registre d'accès ; { $examined } lectures sont notées dans celui de l'autre
A15-recorder = le registre d'accès du nœud avec ses parties (une exportation pour audit, `full`)

A16-question = Un champ interdit a-t-il franchi la frontière ?
A16-rule = Un champ passe à partir de son étape de divulgation, jamais avant (options `cross` de l'accord ; exchange-log.md: UNDISCLOSED)
A16-ok = { $examined } parties ne contiennent que des champs de l'étape que leur placement avait atteinte
A16-finding = { $failed } actes portaient un champ avant son étape ; ceux que le partenaire a rejetés ont été écartés sans être conservés

A17-question = Le consentement est-il présent ?
A17-rule = Le consentement de la personne tient lorsque le placement franchit la frontière pour la première fois (condition consent)
A17-ok = { $examined } premiers passages ont leur consentement
A17-finding = { $failed } actes ont été refusés faute de consentement
A17-condition-none = { $examined } placements ont passé sur la parole de leur émetteur que le consentement tient ; les consentements eux-mêmes ne passent jamais
A17-recorder = les consentements au registre de l'État d'origine ; ils s'inspectent sur place

A18-question = A-t-on effacé à temps ?
A18-rule = Chaque ERASE a sa réponse, et aucune partie n'est gardée au-delà des mois de sa classe après la fin du placement ni effacée avant son minimum (agreement.toml [retention])
A18-ok = { $orders } effacements sont ordonnés et répondus ; { $examined } placements terminés n'ont pas de partie échue
A18-finding = { $failed } effacements sans réponse à temps, ou parties gardées au-delà de leur délai ou effacées avant

A19-question = Les corrections sont-elles justifiées ?
A19-rule = Une correction nomme un acte antérieur du même émetteur et du même sujet (Part.supersedes)
A19-ok = { $examined } corrections nomment chacune un acte antérieur du même sujet
A19-finding = { $failed } corrections ne nomment aucun acte antérieur, ou en nomment un d'un autre sujet

A20-question = Les chiffres publiés se reproduisent-ils ?
A20-rule = Chaque chiffre publié est celui que compte le rejeu (domain.md, Indicators)
A20-ok = { $examined } chiffres publiés sont ceux que compte le rejeu
A20-finding = { $failed } chiffres publiés ne sont pas ceux que compte le rejeu : { $which }
A20-condition-none = aucun chiffre publié n'a été donné
A20-recorder = les chiffres publiés dans un fichier : `report --figures FICHIER`

## Ce qui est commun aux questions.

condition-integrity = non jugé : l'intégrité de ce qui a été lu ne tient pas
condition-gone = { $count } de ce qui était à juger n'a pu l'être : des parties en ont été effacées par ERASE, ou ne sont dans aucun dossier
condition-no-logs = les dossiers ne contiennent pas la paire de journaux d'un accord à rejouer
condition-none-seen = rien à juger n'a été noté
recorder-use = l'usage de l'échange : les actes de cette sorte seront notés quand ils auront lieu

## Constats.

finding-agency-suspended = { $states } a suspendu la licence de l'agence { $name } ; { $rejected } de ses actes ont été rejetés par le partenaire, { $refused } refusés chez elle
finding-terms-refused = un contrat aux conditions pires que son offre d'emploi a été refusé : { $paths }
finding-substitution = conditions en usage pires que convenu : { $terms }
finding-term = { $path } : convenu { $agreed }, observé { $observed }
finding-contradiction = faits qui ne peuvent être vrais ensemble : { $facts }
finding-deadline = délais non respectés : { $deadlines }
finding-departed = parti alors que l'état était { $state }
finding-oversubscribed = { $candidates } candidats pour { $seats } places : { $allocated } ont été placés, { $told } ont appris qu'il n'y en a pas
finding-rejected = { $count } actes de { $party } ont été rejetés : { $reason }
finding-rejected-gate = { $count } actes de { $party } ont été rejetés : { $reason } (condition { $gate })
finding-erased-early = une partie de la classe `{ $class }` a été effacée avant sa conservation minimale
finding-gate-skipped = { $party } a émis `{ $act }` contre ses propres règles : { $why }
finding-diverges = { $party } a décidé { $decided } là où les règles disent { $replayed }
and-joined = { $first } et { $second }

## Mots des pages.

title = Audit d'un échange
label-answers = Réponses
label-findings = Constats
label-no-findings = Aucun constat.
label-bundles = Ce qui a été lu
label-timeline = Chronologie
label-limits = Ce que ce rapport ne peut montrer
label-code = Code
label-question = Question
label-answer = Réponse
label-examined = Examinés
label-failed = En défaut
label-gone = Non jugés
label-criterion = Critère
label-condition = Situation
label-evidence = Preuve
label-gravity = Gravité
label-subject = Sujet
label-recorder = Ce qui le noterait
label-log = Journal
label-entries = Écritures
label-delivered = Livrées
label-records = Actes
label-accepted = Acceptés
label-rejected = Rejetés
label-month = Mois
label-exporter = Exporté par
label-agreement = Accord
label-integrity = Intégrité
label-problems = Problèmes d'intégrité
label-more = et { $count } de plus
label-timeline-caption = Écritures, rejets et constats par mois et par journal
timeline-legend = Chaque barre compte les actes d’un mois ; sa partie supérieure claire, les rejetés ; un triangle signale un mois avec constats. Le tableau qui suit donne tous les chiffres.
integrity-holds = tient
integrity-broken = NE TIENT PAS
answer-ok = CONFORME
answer-finding = CONSTAT
answer-indeterminate = INDÉTERMINÉ
answer-not-recorded = NON NOTÉ
gravity-informative = informatif
gravity-minor = mineur
gravity-serious = sérieux
gravity-grave = grave
summary-counts = { $ok } conformes, { $finding } avec constats, { $indeterminate } indéterminées, { $missing } non notées
limit-collusion = Il n'est pas exclu que les deux États aient réécrit ensemble leurs journaux : aucun témoin indépendant ne les a cosignés.
limit-pinned = { $count } têtes sont fixées de l'extérieur ; les écritures sous elles n'ont pas été réécrites depuis.
limit-witnessed = Des témoins indépendants ont cosigné tous les journaux : { $names }.
limit-outside = Ce qui n'est jamais entré dans un journal ne peut se voir : un acte sur papier, un paiement, une menace.
limit-word = Ce qu'un État a refusé chez lui est sa propre parole ; aucun journal ne le contient.
limit-values = L'audit montre qu'une déclaration a été faite, par qui et quand ; non qu'elle soit vraie.
