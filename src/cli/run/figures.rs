//! Figures that a program displays, kept as files in the current directory.

use std::fs::File;
use std::io::{self, ErrorKind, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

const PNG: &str = "image/png";
/// Files of one name and ascending numbers that are tried.
const NUMBERS: std::ops::RangeInclusive<u32> = 1..=9_999;

/// Writes the display's PNG to the next free `figure-N.png`, and says what became of it.
pub(super) fn keep(data: &Map<String, Value>) -> String {
    let Some(base64) = data.get(PNG).and_then(Value::as_str) else {
        let types: Vec<_> = data.keys().map(String::as_str).collect();
        return format!("a display of {} is not shown here", types.join(", "));
    };
    let Ok(png) = STANDARD.decode(base64) else {
        return format!("a display of {PNG} is not base64");
    };
    match write_next(&png) {
        Ok(name) => format!("wrote {name} ({} kB)", png.len().div_ceil(1000)),
        Err(error) => format!("a figure could not be written to the current directory: {error}"),
    }
}

/// Never writes over anything.
fn write_next(png: &[u8]) -> io::Result<String> {
    for number in NUMBERS {
        let name = format!("figure-{number}.png");
        match File::create_new(&name) {
            Ok(mut file) => {
                file.write_all(png)?;
                return Ok(name);
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other(format!(
        "figure-1.png to figure-{}.png are all there",
        NUMBERS.end()
    )))
}
