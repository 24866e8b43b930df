//! `convenio agreement matrix`: what crosses, from which stage on, which way, how reduced and how long it is kept.

use std::fmt::Write;

use clap::{Args, ValueEnum};
use convenio_agreement::matrix::{Matrix, Row};
use serde_json::json;

use super::PackArgs;
use crate::output::say;

/// Arguments of `convenio agreement matrix`.
#[derive(Args, Debug)]
pub(super) struct MatrixArgs {
    #[command(flatten)]
    pack: PackArgs,
    /// How it is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// How the matrix is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Csv,
    Json,
    Html,
}

/// Prints the matrix.
///
/// # Errors
/// What the loader refuses.
pub(super) fn run(args: &MatrixArgs) -> anyhow::Result<()> {
    let pack = args.pack.load()?;
    let matrix = Matrix::of(&pack);
    match args.format {
        Format::Text => say(text(&matrix).trim_end()),
        Format::Csv => say(matrix.to_csv().trim_end()),
        Format::Json => say(serde_json::to_string_pretty(&as_json(pack.id(), &pack.digest(), &matrix))?),
        Format::Html => say(html(&pack.config().title, &hex::encode(pack.digest()), &matrix).trim_end()),
    }
}

/// One block for each stage, for a terminal.
fn text(matrix: &Matrix) -> String {
    let mut out = String::new();
    let width = matrix.rows.iter().map(|row| row.source.len()).max().unwrap_or(0);
    for (index, stage) in matrix.stages.iter().enumerate() {
        let rows: Vec<&Row> = matrix.rows.iter().filter(|row| row.stage_index == index).collect();
        let _ = writeln!(out, "from {stage} on: {} fields", rows.len());
        for row in rows {
            let Row { source, reduction, message, field, .. } = row;
            let (way, kept) = (row.direction(), row.kept());
            let _ =
                writeln!(out, "  {source:<width$}  {reduction:<9}  {way:<21}  {message}.{field}  {} {kept}", row.class);
        }
    }
    out
}

fn as_json(id: &str, digest: &[u8], matrix: &Matrix) -> serde_json::Value {
    let one = |row: &Row| {
        json!({
            "source": row.source, "reduction": row.reduction, "message": row.message, "field": row.field,
            "stage": row.stage, "direction": row.direction(), "acts": row.acts, "class": row.class,
            "months": row.months,
        })
    };
    json!({
        "agreement": id,
        "digest": hex::encode(digest),
        "stages": matrix.stages,
        "fields": matrix.rows.iter().map(one).collect::<Vec<_>>(),
    })
}

/// A page of its own: field by stage, a mark where the field may cross.
fn html(title: &str, digest: &str, matrix: &Matrix) -> String {
    let title = escape(title);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\n\
         <style>body{{font:14px sans-serif}}table{{border-collapse:collapse}}td,th{{border:1px solid #999;padding:2px 6px;\
         text-align:left}}td.x{{background:#cde;text-align:center}}</style></head><body>\n\
         <h1>{title}</h1><p>What crosses, and from which stage on. Agreement digest <code>{digest}</code>.</p>\n<table><tr>"
    );
    let names = ["Registry field", "Reduction", "Message", "Direction", "Kept"];
    for name in names.into_iter().chain(matrix.stages.iter().map(String::as_str)) {
        let _ = write!(out, "<th>{}</th>", escape(name));
    }
    out.push_str("</tr>\n");
    for row in &matrix.rows {
        let message = format!("{}.{}", row.message, row.field);
        let kept = format!("{}, {}", row.class, row.kept());
        out.push_str("<tr>");
        for cell in [row.source.as_str(), row.reduction, &message, row.direction(), &kept] {
            let _ = write!(out, "<td>{}</td>", escape(cell));
        }
        for index in 0..matrix.stages.len() {
            out.push_str(if index >= row.stage_index { "<td class=\"x\">●</td>" } else { "<td></td>" });
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</table></body></html>\n");
    out
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
