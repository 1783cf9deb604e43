//! Serves the functions to programs in other languages, through lines of text.

use std::error::Error;
use std::io::{BufRead, Write};

use deepaug_controller::{Domain, Point, Space, Value};

use crate::function::Measured;

pub fn serve(mut measured: Measured) -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(measured.function.space())?)?;
    out.flush()?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (what, numbers) = line.split_once(' ').unwrap_or((&line, ""));
        let point = point(measured.function.space(), numbers)?;
        let answer = match what {
            "measure" => measured.measure(&point),
            "regret" => measured.regret(&point),
            _ => return Err(format!("`{what}` is neither measure nor regret").into()),
        };
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}

/// Returns a point from the position of each choice and the value of each number.
fn point(space: &Space, numbers: &str) -> Result<Point, Box<dyn Error>> {
    let values = space.parameters().iter().zip(numbers.split_whitespace()).map(|(parameter, number)| {
        Ok::<_, Box<dyn Error>>(match parameter.domain {
            Domain::Categorical { .. } => Value::Category(number.parse()?),
            Domain::Real { low, high } => Value::Real(number.parse::<f64>()?.clamp(low, high)),
            Domain::Integer { .. } => Value::Integer(number.parse()?),
        })
    });
    let point = Point(values.collect::<Result<_, _>>()?);
    space.check(&point)?;
    Ok(point)
}
