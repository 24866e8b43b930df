## Preguntas: qué se pregunta, la regla y dónde está, qué se vio.

A1-question = ¿Está íntegra la cadena?
A1-rule = Cada archivo es el que nombra el manifiesto y cada resumen lleva a la cabeza firmada (exchange-log.md, Bytes; RFC 6962 §2.1; C2SP tlog-tiles, tlog-checkpoint)
A1-ok = { $examined } asientos de { $logs } registros llevan a cabezas firmadas por las claves de sus registros
A1-finding = { $failed } roturas de la cadena

A2-question = ¿Son válidas las firmas?
A2-rule = Cada asiento lleva una firma de la clave de asientos de su emisor vigente en ese índice (exchange-log.md, Entry; DSSE v1)
A2-ok = { $examined } asientos están firmados por la clave vigente
A2-finding = { $failed } asientos o declaraciones no están firmados como deben

A3-question = ¿Era válida entonces cada clave?
A3-rule = Las raíces del archivo de confianza autorizan las claves de cada época; las cofirmas del espejo de la otra parte acotan el tiempo (exchange-log.md, Epochs; Attacks)
A3-ok = las raíces autorizan todas las claves; { $bounded } de { $examined } asientos están bajo una cofirma que acota su tiempo
A3-finding = { $failed } claves no están autorizadas, o una cofirma suya no se sostiene

A4-question = ¿Hay huecos?
A4-rule = Los índices se siguen, un registro empieza con su época, las posiciones nunca retroceden, una parte falta solo por un ERASE (exchange-log.md, One log; Bundle)
A4-ok = { $examined } asientos se siguen sin hueco; { $erased } partes fueron borradas por ERASE o nunca se guardaron
A4-finding = { $failed } huecos o roturas del orden

A5-question = ¿Hay bifurcaciones?
A5-rule = Una sola raíz por registro y tamaño: coinciden las cabezas fijadas, las entrelazadas y las conservadas (exchange-log.md, Attacks: split view, equivocation)
A5-ok = { $examined } cabezas firmadas de { $logs } registros están cada una en su única línea; { $pinned } de ellas están fijadas desde fuera
A5-finding = { $failed } cabezas se contradicen, o se conservan como prueba dos cabezas firmadas del mismo tamaño

A6-question = ¿Coinciden ambos registros?
A6-rule = Ambos paquetes contienen los mismos asientos hasta donde ambos llegan, y ambas reproducciones dan las mismas colocaciones (exchange-log.md, Attacks: the auditor merges both sides)
A6-ok = { $examined } asientos son iguales en ambos paquetes; { $undelivered } los tiene solo su emisor porque aún no están entregados
A6-finding = { $failed } desacuerdos entre los paquetes
A6-recorder = un segundo paquete, exportado por el otro Estado: con uno solo se sabe únicamente lo que cofirmó la otra parte
A6-condition-none = no hay paquete del otro Estado: uno solo, o dos del mismo exportador

A7-question = ¿Es la reproducción igual al estado vivo?
A7-rule = El resumen de cada fila viva es el último que anotó el diario del nodo (issue 3, the journal; exchange-log.md, Bundle: rows)
A7-ok = { $examined } filas vivas tienen el resumen que el diario anotó por último
A7-finding = { $failed } filas vivas difieren del diario, faltan o nunca se anotaron, o el propio diario fue cortado o reescrito
A7-condition-none = el paquete no contiene resúmenes de filas vivas, o ningún diario con que compararlos
A7-condition-some = el paquete de { $silent } no contiene resúmenes de filas vivas, o ningún diario con que compararlos; { $examined } filas del otro están como las anotó su diario
A7-recorder = una exportación para auditoría con el archivo `rows` y el diario

A8-question = ¿Hubo transiciones ilegales?
A8-rule = El ciclo de vida del convenio: decide quien gobierna el estado, los números se siguen, no hay contradicciones (agreement.toml [lifecycle])
A8-ok = { $examined } actos y decisiones son los que da el ciclo de vida
A8-finding = { $failed } actos o decisiones contrarían el ciclo de vida o se contradicen

A9-question = ¿Se saltó alguna condición?
A9-rule = Cada acto cumple las condiciones que le impone el convenio (agreement.toml [[lifecycle.transitions]] gates, [[lifecycle.facts]] gates, alert_unless)
A9-ok = { $examined } actos cumplieron sus condiciones, hasta donde los registros permiten saberlo
A9-finding = { $failed } actos ante una condición: saltada, rechazada por la otra parte, o sin estar listo para viajar

A10-question = ¿Se excedió un cupo?
A10-rule = Las plazas ocupadas nunca exceden las de la solicitud (agreement.toml lifecycle.holds_seat, condición seat_free)
A10-ok = { $examined } solicitudes se mantuvieron dentro de sus plazas
A10-finding = { $failed } solicitudes tuvieron más candidatos o trabajadores que plazas

A11-question = ¿Actuó una agencia sin licencia?
A11-rule = Las licencias de la agencia en ambos Estados están activas al nominar y al firmar (condición agency_two_licences)
A11-ok = { $examined } actos nombraron una agencia; sus dos licencias estaban activas cada vez
A11-finding = { $failed } agencias perdieron la licencia de un Estado, o actuaron sin ella

A12-question = ¿Se cobró al trabajador?
A12-rule = La regla de cobro del convenio (agreement.toml [fees]) frente a lo observado de los costos del trabajador
A12-ok = { $examined } contratos observados no nombran ningún descuento por reclutamiento
A12-finding = { $failed } contratos observados nombran un cobro o descuento que el convenio prohíbe
A12-condition-none = ningún mensaje del convenio lleva un cobro o descuento, de modo que no se anotó ninguno
A12-recorder = un campo del contrato observado del convenio para cobros y descuentos, llenado en una visita de verificación o por una queja

A13-question = ¿Empeoraron las condiciones (sustitución)?
A13-rule = El contrato y lo observado no son peores que la solicitud y el contrato acordado (condición terms_not_worse; opciones `compare` del convenio)
A13-ok = se compararon { $examined } contratos y observaciones; ninguno era peor
A13-finding = { $failed } solicitudes o colocaciones con condiciones peores que las acordadas

A14-question = ¿Hubo hechos tardíos?
A14-rule = Un asiento está bajo la cofirma del espejo de la otra parte dentro de cosign_deadline_hours del convenio ({ $hours } h); los marcados históricos no se juzgan
A14-ok = { $examined } asientos fueron cofirmados a tiempo; del hecho al asiento la mitad tardó a lo sumo { $median } y el más lento { $slowest }
A14-finding = { $failed } asientos fueron cofirmados tras el plazo, o lo pasaron sin cofirma

A15-question = ¿Quién leyó a quién?
A15-rule = Cada lectura de datos personales es un asiento del diario del nodo con lector, oficina y finalidad (issue 3, the journal)
A15-ok = { $examined } lecturas están en el diario, de { $readers } lectores con { $purposes } finalidades
A15-finding = { $failed } lecturas no nombran finalidad
A15-condition-none = el paquete no contiene ningún diario
A15-condition-some = el paquete de { $silent } no contiene ningún diario; { $examined } lecturas están en el del otro
A15-recorder = el diario del nodo con sus partes (una exportación para auditoría, `full`)

A16-question = ¿Cruzó un campo prohibido?
A16-rule = Un campo cruza desde su etapa de divulgación, nunca antes (opciones `cross` del convenio; exchange-log.md: UNDISCLOSED)
A16-ok = { $examined } partes contienen solo campos de la etapa que su colocación había alcanzado
A16-finding = { $failed } asientos llevaban un campo antes de su etapa; los que la otra parte rechazó se descartaron sin guardarse

A17-question = ¿Consta el consentimiento?
A17-rule = El consentimiento de la persona trabajadora está vigente cuando la colocación cruza por primera vez (condición consent)
A17-ok = { $examined } primeros cruces tienen su consentimiento
A17-finding = { $failed } asientos fueron rechazados por falta de consentimiento
A17-condition-none = { $examined } colocaciones cruzaron bajo la palabra de su emisor de que consta el consentimiento; los consentimientos nunca cruzan
A17-recorder = los consentimientos del sistema de origen, que su diario anota; se inspeccionan allí

A18-question = ¿Se borró a tiempo?
A18-rule = Cada ERASE tiene su respuesta, y ninguna parte se guarda más allá de los meses de su clase tras el fin de la colocación ni se borra antes de su mínimo (agreement.toml [retention])
A18-ok = { $orders } borrados están ordenados y respondidos; { $examined } colocaciones terminadas no tienen partes vencidas
A18-finding = { $failed } borrados sin respuesta a tiempo, o partes guardadas más allá de su plazo o borradas antes de él

A19-question = ¿Están justificadas las correcciones?
A19-rule = Una corrección nombra un asiento anterior del mismo emisor y sujeto (Part.supersedes)
A19-ok = { $examined } correcciones nombran cada una un asiento anterior del mismo sujeto
A19-finding = { $failed } correcciones no nombran un asiento anterior, o nombran uno de otro sujeto

A20-question = ¿Se reproducen las cifras publicadas?
A20-rule = Cada cifra publicada es la que cuenta la reproducción (domain.md, Indicators)
A20-ok = { $examined } cifras publicadas son las que cuenta la reproducción
A20-finding = { $failed } cifras publicadas no son las que cuenta la reproducción: { $which }
A20-condition-none = no se dieron cifras publicadas
A20-recorder = las cifras publicadas en un archivo: `report --figures ARCHIVO`

## Lo común a las preguntas.

condition-integrity = sin juzgar: la integridad de lo leído no se sostiene
condition-gone = { $count } de lo que debía juzgarse no pudo juzgarse: partes suyas fueron borradas por ERASE o no están en ningún paquete
condition-no-logs = los paquetes no contienen el par de registros de un convenio que reproducir
condition-none-seen = no se anotó nada que juzgar
recorder-use = el uso del intercambio: los actos de esta clase se anotarán cuando ocurran

## Hallazgos.

finding-agency-suspended = { $states } suspendió la licencia de la agencia { $name }; { $rejected } de sus actos fueron rechazados por la otra parte, { $refused } denegados en casa
finding-terms-refused = se denegó un contrato con condiciones peores que su solicitud: { $paths }
finding-substitution = condiciones en uso peores que las acordadas: { $terms }
finding-term = { $path }: acordado { $agreed }, observado { $observed }
finding-contradiction = hechos que no pueden ser ciertos a la vez: { $facts }
finding-deadline = plazos incumplidos: { $deadlines }
finding-departed = salió estando en el estado { $state }
finding-oversubscribed = { $candidates } candidatos para { $seats } plazas: a { $allocated } se les asignó, a { $told } se les dijo que no hay
finding-rejected = { $count } asientos de { $party } fueron rechazados: { $reason }
finding-rejected-gate = { $count } asientos de { $party } fueron rechazados: { $reason } (condición { $gate })
finding-erased-early = una parte de la clase `{ $class }` se borró antes de su conservación mínima
finding-gate-skipped = { $party } emitió `{ $act }` contra sus propias reglas: { $why }
finding-diverges = { $party } decidió { $decided } donde las reglas dicen { $replayed }
and-joined = { $first } y { $second }

## Palabras de las páginas.

title = Auditoría de un intercambio
label-answers = Respuestas
label-findings = Hallazgos
label-no-findings = Sin hallazgos.
label-bundles = Lo que se leyó
label-timeline = Línea de tiempo
label-limits = Lo que este informe no puede mostrar
label-code = Código
label-question = Pregunta
label-answer = Respuesta
label-examined = Examinados
label-failed = Fallidos
label-gone = Sin juzgar
label-criterion = Criterio
label-condition = Situación
label-evidence = Prueba
label-gravity = Gravedad
label-subject = Sujeto
label-recorder = Qué lo anotaría
label-log = Registro
label-entries = Asientos
label-delivered = Entregados
label-records = Actos
label-accepted = Aceptados
label-rejected = Rechazados
label-month = Mes
label-exporter = Exportado por
label-agreement = Convenio
label-integrity = Integridad
label-problems = Problemas de integridad
label-more = y { $count } más
label-timeline-caption = Asientos, rechazos y hallazgos por mes y registro
timeline-legend = Cada barra cuenta los actos de un mes; su parte superior clara, los rechazados; un triángulo señala un mes con hallazgos. La tabla que sigue da todas las cifras.
integrity-holds = se sostiene
integrity-broken = NO SE SOSTIENE
answer-ok = CONFORME
answer-finding = HALLAZGO
answer-indeterminate = INDETERMINADO
answer-not-recorded = NO CONSTA
gravity-informative = informativo
gravity-minor = leve
gravity-serious = grave
gravity-grave = muy grave
summary-counts = { $ok } conformes, { $finding } con hallazgos, { $indeterminate } indeterminadas, { $missing } no constan
limit-collusion = No se excluye que ambos Estados reescribieran juntos sus registros: ningún testigo independiente los ha cofirmado.
limit-pinned = { $count } cabezas están fijadas desde fuera; los asientos bajo ellas no se reescribieron desde entonces.
limit-witnessed = Testigos independientes han cofirmado todos los registros: { $names }.
limit-outside = Lo que nunca entró en un registro no puede verse: un acto en papel, un pago, una amenaza.
limit-word = Lo que un Estado denegó en casa es su propia palabra; ningún registro lo contiene.
limit-values = La auditoría muestra que una declaración se hizo, quién y cuándo; no que sea verdad.
