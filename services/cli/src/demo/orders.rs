//! The destination's job orders, read strictly from a CSV file of published labour-market assessments.

use std::path::Path;

use anyhow::{Context, anyhow, bail, ensure};

use super::scenario::Scenario;

/// Largest file, bytes.
const MAX_FILE: u64 = 64 * 1024 * 1024;
/// Most rows: an exchange of millions of orders is not a demonstration.
const MAX_ROWS: usize = 100_000;
/// As the contract bounds them.
const MAX_SEATS: i64 = 100_000;
const MAX_NAME: usize = 200;
const MAX_LOCALITY: usize = 120;

const COLUMNS: [&str; 10] = [
    "employer",
    "address",
    "positions",
    "province",
    "noc_code",
    "noc_label",
    "incorporate_status",
    "lmias",
    "year",
    "period",
];

/// One row: one employer's approved positions for one occupation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Number of the row, from 1; the header does not count.
    pub number: usize,
    pub employer: String,
    pub locality: String,
    /// ISO 3166-2 code of the province.
    pub subdivision: String,
    /// Positions; 0 where the file has none or less.
    pub seats: u32,
    /// List and version of the occupation's code, for example `NOC-2016`.
    pub noc_list: &'static str,
    pub noc: String,
    pub title: String,
}

/// Reads every row, or tells what is wrong with the first bad one.
///
/// # Errors
/// The text names file, line and column.
pub fn read(file: &Path, scenario: &Scenario) -> anyhow::Result<Vec<Row>> {
    let shown = file.display();
    let size = std::fs::metadata(file).with_context(|| format!("{shown}: cannot be read"))?.len();
    ensure!(size <= MAX_FILE, "{shown}: larger than {MAX_FILE} bytes");
    let bytes = std::fs::read(file).with_context(|| format!("{shown}: cannot be read"))?;
    parse(&bytes, scenario).map_err(|error| anyhow!("{shown}: {error}"))
}

fn parse(bytes: &[u8], scenario: &Scenario) -> anyhow::Result<Vec<Row>> {
    // Spreadsheets put a byte-order mark before the first name.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(bytes);
    let mut records = reader.records();
    let header = records.next().context("line 1: no header")?.map_err(|e| csv_problem(bytes, &e))?;
    for (index, name) in COLUMNS.iter().enumerate() {
        let found = header.get(index).unwrap_or_default();
        ensure!(found == *name, "line 1, column {}: must be `{name}`, is `{}`", index + 1, shortened(found));
    }
    ensure!(header.len() == COLUMNS.len(), "line 1: {} columns, not {}", header.len(), COLUMNS.len());
    let mut rows = Vec::new();
    for record in records {
        ensure!(rows.len() < MAX_ROWS, "more than {MAX_ROWS} rows");
        let record = record.map_err(|e| csv_problem(bytes, &e))?;
        let at = |error| anyhow!("line {}, {error}", line_of(bytes, record.position()));
        let row = row(rows.len() + 1, &record, scenario).map_err(at)?;
        rows.push(row);
    }
    ensure!(!rows.is_empty(), "no row below the header");
    Ok(rows)
}

/// Line of a record. The reader's own count is one short where lines end in CR LF: its record begins at the LF.
fn line_of(bytes: &[u8], position: Option<&csv::Position>) -> usize {
    let start = position.and_then(|p| usize::try_from(p.byte()).ok()).unwrap_or_default();
    let rest = bytes.get(start..).unwrap_or_default();
    let skipped = rest.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
    let before = bytes.get(..start + skipped).unwrap_or_default();
    1 + before.iter().filter(|b| **b == b'\n').count()
}

fn row(number: usize, record: &csv::StringRecord, scenario: &Scenario) -> anyhow::Result<Row> {
    let [employer, address, positions, province, noc, label, _, lmias, year, period] =
        std::array::from_fn(|index| record.get(index).unwrap_or_default().trim());
    let column = |name: &str, problem: &str| anyhow!("column {name}: {problem}");
    ensure!((1..=MAX_NAME).contains(&employer.chars().count()), column("employer", "must have 1 to 200 characters"));
    ensure!((1..=MAX_NAME).contains(&label.chars().count()), column("noc_label", "must have 1 to 200 characters"));
    let locality = address.split(',').next().unwrap_or_default().trim();
    let fits = (1..=MAX_LOCALITY).contains(&locality.chars().count());
    ensure!(fits, column("address", "must begin with a locality and a comma"));
    let subdivision = scenario.orders.provinces.get(province);
    let subdivision = subdivision.ok_or_else(|| column("province", "not a province of the scenario"))?.clone();
    let (noc_list, noc) = noc_code(noc)?;
    ensure!(lmias.parse::<u32>().is_ok(), column("lmias", "must be a whole number"));
    ensure!(year.parse().is_ok_and(|y: u32| (2000..=2100).contains(&y)), column("year", "must be 2000 to 2100"));
    ensure!(["Q1", "Q2", "Q3", "Q4"].contains(&period), column("period", "must be Q1, Q2, Q3 or Q4"));
    Ok(Row {
        number,
        employer: employer.to_owned(),
        locality: locality.to_owned(),
        subdivision,
        seats: seats(positions)?,
        noc_list,
        noc: noc.to_owned(),
        title: label.to_owned(),
    })
}

/// An empty or negative count is a valid order without seats.
fn seats(text: &str) -> anyhow::Result<u32> {
    if text.is_empty() {
        return Ok(0);
    }
    let count: i64 = text.parse().map_err(|_| anyhow!("column positions: must be empty or a whole number"))?;
    ensure!(count <= MAX_SEATS, "column positions: more than {MAX_SEATS}");
    Ok(u32::try_from(count.max(0))?)
}

/// The list's version shows in the number of digits: four until 2016, five from 2021.
fn noc_code(text: &str) -> anyhow::Result<(&'static str, &str)> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    match text.len() {
        4 if digits => Ok(("NOC-2016", text)),
        5 if digits => Ok(("NOC-2021", text)),
        _ => bail!("column noc_code: must be four digits (NOC 2016) or five (NOC 2021)"),
    }
}

fn csv_problem(bytes: &[u8], error: &csv::Error) -> anyhow::Error {
    let line = line_of(bytes, error.position());
    match error.kind() {
        csv::ErrorKind::Utf8 { err, .. } => anyhow!("line {line}, column {}: not UTF-8", err.field() + 1),
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            anyhow!("line {line}: {len} columns, not {expected_len}")
        }
        _ => anyhow!("line {line}: {error}"),
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str =
        "employer,address,positions,province,noc_code,noc_label,incorporate_status,lmias,year,period\n";

    fn demo() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/demo")
    }

    fn scenario() -> Scenario {
        Scenario::load(&demo().join("sv-ca/scenario.toml"), "sv-ca").expect("the shipped scenario")
    }

    fn parsed(rows: &str) -> anyhow::Result<Vec<Row>> {
        parse(format!("{HEADER}{rows}").as_bytes(), &scenario())
    }

    #[test]
    fn every_shipped_row_is_read() {
        let rows = read(&demo().join("job-orders.csv"), &scenario()).expect("the shipped file");
        assert_eq!(rows.len(), 1096);
        assert_eq!(rows.iter().map(|r| r.seats).sum::<u32>(), 13_500);
        assert_eq!(rows.iter().filter(|r| r.seats == 0).count(), 1);
        // Leading zeros are part of a code.
        assert_eq!(rows.iter().filter(|r| r.noc == "0821" && r.noc_list == "NOC-2016").count(), 9);
    }

    #[test]
    fn no_seats_is_a_valid_order() {
        let rows =
            parsed("A,\"B, ON X\",-2,Ontario,8431,W,Unknown,1,2024,Q1\nA,\"B, ON X\",,Ontario,85101,W,,0,2024,Q4\n");
        let rows = rows.expect("both are valid");
        assert_eq!(rows.iter().map(|r| r.seats).collect::<Vec<_>>(), [0, 0]);
        assert_eq!(rows[1].noc_list, "NOC-2021");
    }

    #[test]
    fn a_bad_row_is_named_by_line_and_column() {
        let good = "A,\"B, ON X\",2,Ontario,8431,W,Unknown,1,2024,Q1\n";
        for (bad, named) in [
            ("A,\"B, ON X\",two,Ontario,8431,W,Unknown,1,2024,Q1\n", "line 3, column positions"),
            ("A,\"B, ON X\",100001,Ontario,8431,W,Unknown,1,2024,Q1\n", "line 3, column positions"),
            (",\"B, ON X\",2,Ontario,8431,W,Unknown,1,2024,Q1\n", "line 3, column employer"),
            ("A,,2,Ontario,8431,W,Unknown,1,2024,Q1\n", "line 3, column address"),
            ("A,\"B, ON X\",2,Yukon,8431,W,Unknown,1,2024,Q1\n", "line 3, column province"),
            ("A,\"B, ON X\",2,Ontario,843,W,Unknown,1,2024,Q1\n", "line 3, column noc_code"),
            ("A,\"B, ON X\",2,Ontario,84x1,W,Unknown,1,2024,Q1\n", "line 3, column noc_code"),
            ("A,\"B, ON X\",2,Ontario,8431,,Unknown,1,2024,Q1\n", "line 3, column noc_label"),
            ("A,\"B, ON X\",2,Ontario,8431,W,Unknown,one,2024,Q1\n", "line 3, column lmias"),
            ("A,\"B, ON X\",2,Ontario,8431,W,Unknown,1,24,Q1\n", "line 3, column year"),
            ("A,\"B, ON X\",2,Ontario,8431,W,Unknown,1,2024,Q5\n", "line 3, column period"),
            ("A,\"B, ON X\",2,Ontario,8431,W\n", "line 3: 6 columns"),
        ] {
            for text in [format!("{good}{bad}"), format!("{good}{bad}").replace('\n', "\r\n")] {
                let error = parsed(&text).expect_err(named).to_string();
                assert!(error.contains(named), "{error}, not {named}");
            }
        }
        let error = parse(b"employer,adress\n", &scenario()).expect_err("header").to_string();
        assert!(error.contains("line 1, column 2"), "{error}");
        let latin = [HEADER.as_bytes(), b"L\xe9on,\"B, ON X\",2,Ontario,8431,W,Unknown,1,2024,Q1\n"].concat();
        let error = parse(&latin, &scenario()).expect_err("not UTF-8").to_string();
        assert!(error.contains("line 2, column 1: not UTF-8"), "{error}");
    }
}
