//! The static check: what must be wrong whatever the values, given the types of what the environment holds (A-265 on).

use std::sync::Arc;

use super::ast::{BinaryOperator, Member, Node, NodeKind, UnaryOperator};
use super::builtin;
use super::error::EvalError;
use super::types::{GoType, Nature, Signature};
use crate::re2;

type Checked = Result<Nature, EvalError>;

/// The natures of an environment's names, and whether other names are mistakes.
pub(crate) struct Names<'a> {
    /// The expression's text, for the spelling of its operators.
    pub(crate) source: &'a str,
    pub(crate) known: &'a dyn Fn(&str) -> Option<Nature>,
    pub(crate) strict: bool,
}

struct Checker<'a> {
    names: &'a Names<'a>,
    variables: Vec<(String, Nature)>,
    /// Innermost last: the collection and the named pointers of each open predicate.
    predicates: Vec<(Nature, &'static [&'static str])>,
}

/// Checks the tree. Integer literals given to parameters that want floats become floats.
pub(crate) fn check(node: &mut Node, names: &Names<'_>) -> Checked {
    Checker { names, variables: Vec::new(), predicates: Vec::new() }.visit(node)
}

/// What the arguments of one call were found to be. Every overload asks again; without a memory, nested calls of overloaded
/// builtins (`a | sort() | sort() …`) would be checked once per overload at every level, which is exponential.
#[derive(Default)]
struct Visited(Vec<Option<Checked>>);

impl Visited {
    /// What the argument at `index` is, asking `visit` only the first time.
    fn nature(&mut self, index: usize, visit: impl FnOnce() -> Checked) -> Checked {
        if self.0.len() <= index {
            self.0.resize(index + 1, None);
        }
        match self.0.get_mut(index) {
            Some(slot) => slot.get_or_insert_with(visit).clone(),
            None => visit(),
        }
    }

    /// The argument was rewritten: the next question looks again.
    fn forget(&mut self, index: usize) {
        if let Some(slot) = self.0.get_mut(index) {
            *slot = None;
        }
    }
}

fn fail(at: usize, message: impl Into<String>) -> Checked {
    Err(EvalError::compile_at(at, message))
}

impl Checker<'_> {
    fn visit(&mut self, node: &mut Node) -> Checked {
        let at = node.at;
        match &mut node.kind {
            NodeKind::Nil => Ok(Nature::Nil),
            NodeKind::Bool(_) => Ok(Nature::bool()),
            NodeKind::Int(_) => Ok(Nature::int()),
            NodeKind::Float(_) => Ok(GoType::Float.into()),
            NodeKind::Text(_) => Ok(GoType::Text.into()),
            NodeKind::Bytes(_) => Ok(GoType::Bytes.into()),
            NodeKind::TextSet(_) => Ok(GoType::text_map().into()),
            NodeKind::Identifier(name) => self.identifier(name, at),
            NodeKind::Pointer(name) => self.pointer(name, at),
            NodeKind::Unary(operator, operand) => self.unary(*operator, operand, at),
            NodeKind::Binary(operator, left, right) => self.binary(operator, left, right, at),
            NodeKind::Chain(inner) | NodeKind::Predicate(inner) => self.visit(inner),
            NodeKind::Member(member) => self.member(member, at),
            NodeKind::Slice { base, from, to } => {
                self.slice(base, from.as_deref_mut(), to.as_deref_mut(), at)
            }
            NodeKind::Call { callee, arguments } => self.call(callee, arguments, at),
            NodeKind::Builtin { name, arguments } => self.builtin(name, arguments, at),
            NodeKind::Let { name, value, body } => self.declaration(name, value, body, at),
            NodeKind::Sequence(nodes) => {
                let mut last = Nature::Unknown;
                for node in nodes {
                    last = self.visit(node)?;
                }
                Ok(last)
            }
            NodeKind::Conditional { condition, then, otherwise } => {
                self.conditional(condition, then, otherwise)
            }
            NodeKind::List(nodes) => self.list(nodes),
            NodeKind::Map(pairs) => {
                for (key, value) in pairs {
                    self.visit(key)?;
                    self.visit(value)?;
                }
                Ok(GoType::text_map().into())
            }
        }
    }

    fn identifier(&self, name: &str, at: usize) -> Checked {
        if let Some((_, nature)) = self.variables.iter().rev().find(|(known, _)| known == name) {
            return Ok(nature.clone());
        }
        if name == "$env" {
            return Ok(Nature::Unknown);
        }
        if let Some(nature) = (self.names.known)(name) {
            return Ok(nature);
        }
        if builtin::find(name).is_some() {
            let signature = Signature { parameters: vec![GoType::Any], result: GoType::Any };
            return Ok(GoType::Function(Arc::new(signature)).into());
        }
        if self.names.strict { fail(at, format!("unknown name {name}")) } else { Ok(Nature::Unknown) }
    }

    fn pointer(&self, name: &str, at: usize) -> Checked {
        let Some((collection, pointers)) = self.predicates.last() else {
            return fail(at, "cannot use pointer accessor outside predicate");
        };
        match name {
            "" if collection.is_unknown() => Ok(Nature::Unknown),
            "" => Ok(collection.element()),
            "index" if pointers.contains(&"index") => Ok(Nature::int()),
            "acc" if pointers.contains(&"acc") => Ok(Nature::Unknown),
            _ => fail(at, format!("unknown pointer #{name}")),
        }
    }

    fn unary(&mut self, operator: UnaryOperator, operand: &mut Node, at: usize) -> Checked {
        let nature = self.visit(operand)?;
        let sign = match operator {
            UnaryOperator::Not => {
                if nature.is(&GoType::Bool) || nature.is_unknown() {
                    return Ok(Nature::bool());
                }
                self.spelled(at, "not")
            }
            UnaryOperator::Minus | UnaryOperator::Plus => {
                if nature.is_number() {
                    return Ok(nature);
                }
                if nature.is_unknown() {
                    return Ok(Nature::Unknown);
                }
                if operator == UnaryOperator::Minus { "-" } else { "+" }
            }
        };
        fail(at, format!("invalid operation: {sign} (mismatched type {nature})"))
    }

    fn binary(
        &mut self,
        operator: &mut BinaryOperator,
        left: &mut Node,
        right: &mut Node,
        at: usize,
    ) -> Checked {
        let l = self.visit(left)?;
        let r = self.visit(right)?;
        if *operator == BinaryOperator::Matches
            && let Some(pattern) = right.as_text()
            && let Err(problem) = re2::compile(pattern)
        {
            return fail(at, problem);
        }
        if *operator == BinaryOperator::In
            && let Some(result) = check_in(&l, &r, at)
        {
            return result;
        }
        let Some(result) = binary_result(*operator, &l, &r) else {
            let sign = self.spelled(at, printed(*operator));
            return fail(at, format!("invalid operation: {sign} (mismatched types {l} and {r})"));
        };
        let strict = [GoType::Int, GoType::Text].iter().any(|ty| l.is(ty) && r.is(ty));
        match operator {
            BinaryOperator::Equal if strict => *operator = BinaryOperator::StrictEqual,
            BinaryOperator::NotEqual if strict => *operator = BinaryOperator::StrictNotEqual,
            _ => {}
        }
        Ok(result)
    }

    /// An operator with two spellings, as the user wrote it.
    fn spelled(&self, at: usize, usual: &'static str) -> &'static str {
        let written: String = self.names.source.chars().skip(at).take(3).collect();
        let other = match usual {
            "||" => "or",
            "&&" => "and",
            "**" => "^",
            "not" => "!",
            _ => return usual,
        };
        if written.starts_with(other) { other } else { usual }
    }

    fn member(&mut self, member: &mut Member, at: usize) -> Checked {
        if matches!(&member.base.kind, NodeKind::Identifier(name) if name == "$env") {
            return self.environment_member(member, at);
        }
        let base = self.visit(&mut member.base)?;
        let property = self.visit(&mut member.property)?;
        if base.is_unknown() {
            return Ok(Nature::Unknown);
        }
        let name = member.property.as_text();
        if let Some(name) = name {
            if base.is_nil() {
                return fail(at, format!("type nil has no field {name}"));
            }
            if let Some((parameters, result)) = base.ty().and_then(|ty| builtin::method(ty, name)) {
                return Ok(GoType::Function(Arc::new(Signature { parameters, result })).into());
            }
        }
        let property_at = member.property.at;
        match base.ty() {
            Some(GoType::Map(key, _)) => {
                if !property.assignable_to(key) && !property.is_unknown() {
                    return fail(property_at, format!("cannot use {property} to get an element from {base}"));
                }
                return Ok(base.element());
            }
            Some(ty) if ty.is_list() => {
                if !property.is_integer() && !property.is_unknown() {
                    return fail(
                        property_at,
                        format!("array elements can only be selected using an integer (got {property})"),
                    );
                }
                return Ok(base.element());
            }
            Some(GoType::Struct(ty)) => {
                let field = name.and_then(|name| ty.fields.iter().find(|(known, _)| known == name));
                if let Some((_, field)) = field {
                    return Ok(field.clone().into());
                }
            }
            _ => {}
        }
        match name {
            Some(name) if member.method => fail(at, format!("type {base} has no method {name}")),
            Some(name) => fail(at, format!("type {base} has no field {name}")),
            None => fail(at, format!("type {base}[{property}] is undefined")),
        }
    }

    /// `$env.name`: only what the environment itself holds.
    fn environment_member(&mut self, member: &mut Member, at: usize) -> Checked {
        let Some(name) = member.property.as_text() else {
            return Ok(Nature::Unknown);
        };
        match (self.names.known)(name) {
            Some(nature) => Ok(nature),
            None if self.names.strict && !member.optional => fail(at, format!("unknown name {name}")),
            None => Ok(Nature::Unknown),
        }
    }

    fn slice(
        &mut self,
        base: &mut Node,
        from: Option<&mut Node>,
        to: Option<&mut Node>,
        at: usize,
    ) -> Checked {
        let nature = self.visit(base)?;
        if nature.is_unknown() {
            return Ok(Nature::Unknown);
        }
        if !nature.is_list() && !nature.is(&GoType::Text) {
            return fail(at, format!("cannot slice {nature}"));
        }
        for bound in from.into_iter().chain(to) {
            let index = self.visit(bound)?;
            if !index.is_integer() && !index.is_unknown() {
                return fail(bound.at, format!("non-integer slice index {index}"));
            }
        }
        Ok(nature)
    }

    fn call(&mut self, callee: &mut Node, arguments: &mut [Node], at: usize) -> Checked {
        let nature = self.visit(callee)?;
        if nature.is_unknown() {
            return Ok(Nature::Unknown);
        }
        let name = match &callee.kind {
            NodeKind::Identifier(name) => name.clone(),
            NodeKind::Member(member) => member.property.as_text().unwrap_or("function").to_owned(),
            _ => "function".to_owned(),
        };
        match nature.ty() {
            Some(GoType::Function(signature)) => {
                let signature = signature.clone();
                self.arguments(&name, &signature.parameters, arguments, &mut Visited::default(), at)?;
                Ok(signature.result.clone().into())
            }
            None => fail(at, format!("{name} is nil; cannot call nil as function")),
            Some(ty) => fail(at, format!("{ty} is not callable")),
        }
    }

    /// Checks arguments against parameters.
    fn arguments(
        &mut self,
        name: &str,
        parameters: &[GoType],
        arguments: &mut [Node],
        visited: &mut Visited,
        at: usize,
    ) -> Result<(), EvalError> {
        if arguments.len() != parameters.len() {
            // Mistakes inside the arguments come first.
            for (index, argument) in arguments.iter_mut().enumerate() {
                visited.nature(index, || self.visit(argument))?;
            }
            let problem = if arguments.len() > parameters.len() { "too many" } else { "not enough" };
            return Err(EvalError::compile_at(at, format!("{problem} arguments to call {name}")));
        }
        for (index, (argument, parameter)) in arguments.iter_mut().zip(parameters).enumerate() {
            let nature = visited.nature(index, || self.visit(argument))?;
            if *parameter == GoType::Float && nature.is_integer() {
                literals_to_floats(argument);
                visited.forget(index);
                continue;
            }
            if parameter.is_integer() && nature.is_integer() {
                continue;
            }
            if nature.is_nil() {
                if *parameter == GoType::Any || *parameter == GoType::Location {
                    continue;
                }
                let problem = format!("cannot use nil as argument (type {parameter}) to call {name}");
                return Err(EvalError::compile_at(argument.at, problem));
            }
            if !nature.assignable_to(parameter) && !nature.is_unknown() {
                let problem = format!("cannot use {nature} as argument (type {parameter}) to call {name} ");
                return Err(EvalError::compile_at(argument.at, problem));
            }
        }
        Ok(())
    }

    fn builtin(&mut self, name: &'static str, arguments: &mut [Node], at: usize) -> Checked {
        if let [collection, rest @ ..] = &mut *arguments
            && builtin::find(name).is_some_and(|known| known.shape != builtin::Shape::Plain)
        {
            return self.predicate_builtin(name, collection, rest);
        }
        if name == "get" {
            return self.get(arguments, at);
        }
        let overloads = builtin::overloads(name);
        if overloads.is_empty() {
            let mut natures = Vec::with_capacity(arguments.len());
            for argument in arguments {
                natures.push(self.visit(argument)?);
            }
            return builtin::validate(name, &natures).map_err(|problem| EvalError::compile_at(at, problem));
        }
        let mut visited = Visited::default();
        let mut last = None;
        for (parameters, result) in overloads {
            match self.arguments(name, &parameters, arguments, &mut visited, at) {
                Ok(()) => return Ok(result.into()),
                Err(error) => last = Some(error),
            }
        }
        match last {
            Some(error) => Err(error),
            None => fail(at, format!("no matching overload for {name}")),
        }
    }

    fn get(&mut self, arguments: &mut [Node], at: usize) -> Checked {
        let count = arguments.len();
        let [base_node, property_node] = arguments else {
            return fail(at, format!("invalid number of arguments (expected 2, got {count})"));
        };
        let base = self.visit(base_node)?;
        let property = self.visit(property_node)?;
        match &base {
            _ if base.is_unknown() => Ok(Nature::Unknown),
            Nature::Typed(ty, _) if ty.is_list() => {
                if !property.is_integer() && !property.is_unknown() {
                    return fail(property_node.at, format!("non-integer slice index {property}"));
                }
                Ok(base.element())
            }
            Nature::Typed(GoType::Map(key, _), _) => {
                if !property.assignable_to(key) && !property.is_unknown() {
                    return fail(
                        property_node.at,
                        format!("cannot use {property} to get an element from {base}"),
                    );
                }
                Ok(base.element())
            }
            _ => fail(base_node.at, format!("type {base} does not support indexing")),
        }
    }

    fn predicate_builtin(&mut self, name: &str, collection_node: &mut Node, rest: &mut [Node]) -> Checked {
        let collection = self.visit(collection_node)?;
        if !collection.is_list() && !collection.is_unknown() {
            let problem = format!("builtin {name} takes only array (got {collection})");
            return fail(collection_node.at, problem);
        }
        let [predicate_node, extra @ ..] = rest else {
            return Ok(match name {
                "count" => Nature::int(),
                _ if collection.is_unknown() => Nature::Unknown,
                _ => collection.element(),
            });
        };
        let pointers: &'static [&'static str] = match name {
            "map" => &["index"],
            "reduce" => &["index", "acc"],
            _ => &[],
        };
        self.predicates.push((collection.clone(), pointers));
        let predicate = self.visit(predicate_node);
        self.predicates.pop();
        let predicate = predicate?;
        if let [last] = extra {
            let nature = self.visit(last)?;
            if name == "sortBy" && !nature.is(&GoType::Text) && !nature.is_unknown() {
                return fail(last.at, format!("sortBy order argument must be a string (got {nature})"));
            }
        }
        if predicate.is_nil() {
            let count = if name == "reduce" { "two" } else { "one" };
            let problem = format!("predicate should has {count} input and one output param");
            return fail(predicate_node.at, problem);
        }
        let wants_bool = !matches!(name, "map" | "sum" | "groupBy" | "sortBy" | "reduce");
        if wants_bool && !predicate.is(&GoType::Bool) && !predicate.is_unknown() {
            return fail(predicate_node.at, format!("predicate should return boolean (got {predicate})"));
        }
        Ok(match name {
            "all" | "none" | "any" | "one" => Nature::bool(),
            "filter" if collection.is_unknown() => GoType::any_list().into(),
            "filter" => Nature::list_of(collection.element()),
            "map" => Nature::list_of(predicate),
            "count" | "findIndex" | "findLastIndex" => Nature::int(),
            "find" | "findLast" if collection.is_unknown() => Nature::Unknown,
            "find" | "findLast" => collection.element(),
            "groupBy" => GoType::Map(Box::new(GoType::Any), Box::new(GoType::any_list())).into(),
            "sortBy" => collection,
            "sum" => predicate.ty().cloned().map_or(Nature::Unknown, Nature::from),
            _ => predicate,
        })
    }

    fn declaration(&mut self, name: &str, value: &mut Node, body: &mut Node, at: usize) -> Checked {
        if (self.names.known)(name).is_some() {
            return fail(at, format!("cannot redeclare {name}"));
        }
        if builtin::find(name).is_some() {
            return fail(at, format!("cannot redeclare builtin {name}"));
        }
        if self.variables.iter().any(|(known, _)| known == name) {
            return fail(at, format!("cannot redeclare variable {name}"));
        }
        let nature = self.visit(value)?;
        self.variables.push((name.to_owned(), nature));
        let result = self.visit(body);
        self.variables.pop();
        result
    }

    fn conditional(&mut self, condition: &mut Node, then: &mut Node, otherwise: &mut Node) -> Checked {
        let nature = self.visit(condition)?;
        if !nature.is(&GoType::Bool) && !nature.is_unknown() {
            return fail(condition.at, format!("non-bool expression (type {nature}) used as condition"));
        }
        let a = self.visit(then)?;
        let b = self.visit(otherwise)?;
        Ok(match (a.is_nil(), b.is_nil()) {
            (true, true) => Nature::Nil,
            (true, false) => b,
            (false, true) => a,
            (false, false) if a.assignable_to_nature(&b) => {
                let (x, y) = (a.element(), b.element());
                let alike = x.assignable_to_nature(&y) && y.assignable_to_nature(&x);
                if a.is_list() && b.is_list() && !alike { GoType::any_list().into() } else { a }
            }
            (false, false) => Nature::Unknown,
        })
    }

    fn list(&mut self, nodes: &mut [Node]) -> Checked {
        let mut previous: Option<Nature> = None;
        let mut alike = true;
        for node in nodes {
            let nature = self.visit(node)?;
            alike &= previous.as_ref().is_none_or(|previous| kind(previous) == kind(&nature));
            previous = Some(nature);
        }
        Ok(if alike {
            Nature::list_of(previous.unwrap_or(Nature::Unknown))
        } else {
            GoType::any_list().into()
        })
    }
}

/// Go's kind of a nature, as a word: lists of one kind of elements keep that knowledge.
fn kind(nature: &Nature) -> &'static str {
    match nature.ty() {
        None => "",
        Some(GoType::Any) => "interface",
        Some(GoType::Bool) => "bool",
        Some(GoType::Int | GoType::Month | GoType::Weekday) => "int",
        Some(GoType::Int64 | GoType::Duration) => "int64",
        Some(GoType::Uint64) => "uint64",
        Some(GoType::Float) => "float64",
        Some(GoType::Text) => "string",
        Some(GoType::List(_) | GoType::Bytes) => "slice",
        Some(GoType::Pair) => "array",
        Some(GoType::Map(..)) => "map",
        Some(GoType::Struct(_) | GoType::Time) => "struct",
        Some(GoType::Location) => "ptr",
        Some(GoType::Function(_)) => "func",
    }
}

/// The result of `in` where the right side decides; `None` where the general rule does.
fn check_in(l: &Nature, r: &Nature, at: usize) -> Option<Checked> {
    let ty = r.ty()?;
    let is_struct = matches!(ty, GoType::Struct(_) | GoType::Time);
    if is_struct && (l.is(&GoType::Text) || l.is_unknown()) {
        return Some(Ok(Nature::bool()));
    }
    if let GoType::Map(key, _) = ty {
        let fits = l.is_unknown() || l.assignable_to(key);
        let problem = || fail(at, format!("cannot use {l} as type {key} in map key"));
        return Some(if fits { Ok(Nature::bool()) } else { problem() });
    }
    if ty.is_list() {
        let element = r.element();
        let problem = || fail(at, format!("cannot use {l} as type {element} in array"));
        return Some(if l.comparable_to(&element) { Ok(Nature::bool()) } else { problem() });
    }
    None
}

/// The nature of `l operator r`, or `None` if the two do not go together.
fn binary_result(operator: BinaryOperator, l: &Nature, r: &Nature) -> Option<Nature> {
    use BinaryOperator as Op;
    let both = |ty: GoType| l.is(&ty) && r.is(&ty);
    let time_and_duration = l.is(&GoType::Time) && r.is(&GoType::Duration);
    let duration_and_time = l.is(&GoType::Duration) && r.is(&GoType::Time);
    let numbers = l.is_number() && r.is_number();
    let promoted = || {
        let float = l.is(&GoType::Float) || r.is(&GoType::Float);
        Nature::from(if float { GoType::Float } else { GoType::Int })
    };
    let number_text_or_time =
        |ty: &GoType| ty.is_number() || matches!(ty, GoType::Text | GoType::Time | GoType::Duration);
    let when = |fits: bool, result: Nature| fits.then_some(result);
    match operator {
        Op::Equal | Op::NotEqual | Op::StrictEqual | Op::StrictNotEqual => {
            when(l.comparable_to(r), Nature::bool())
        }
        Op::Or | Op::And => {
            let fits = both(GoType::Bool) || l.maybe_compatible(r, |ty| *ty == GoType::Bool);
            when(fits, Nature::bool())
        }
        Op::Less | Op::Greater | Op::LessOrEqual | Op::GreaterOrEqual => {
            let alike = numbers || both(GoType::Text) || both(GoType::Time) || both(GoType::Duration);
            when(alike || l.maybe_compatible(r, number_text_or_time), Nature::bool())
        }
        Op::Add => match () {
            () if numbers => Some(promoted()),
            () if both(GoType::Text) => Some(GoType::Text.into()),
            () if time_and_duration || duration_and_time => Some(GoType::Time.into()),
            () if both(GoType::Duration) => Some(GoType::Duration.into()),
            () => when(l.maybe_compatible(r, number_text_or_time), Nature::Unknown),
        },
        Op::Subtract => match () {
            () if numbers => Some(promoted()),
            () if both(GoType::Time) || both(GoType::Duration) => Some(GoType::Duration.into()),
            () if time_and_duration => Some(GoType::Time.into()),
            () => {
                let fits = |ty: &GoType| ty.is_number() || matches!(ty, GoType::Time | GoType::Duration);
                when(l.maybe_compatible(r, fits), Nature::Unknown)
            }
        },
        Op::Multiply => {
            let scales = |a: &Nature, b: &Nature| {
                a.is(&GoType::Duration) && (b.is_number() || b.is(&GoType::Duration))
            };
            match () {
                () if numbers => Some(promoted()),
                () if scales(l, r) || scales(r, l) => Some(GoType::Duration.into()),
                () => {
                    let fits = |ty: &GoType| ty.is_number() || *ty == GoType::Duration;
                    when(l.maybe_compatible(r, fits), Nature::Unknown)
                }
            }
        }
        Op::Divide | Op::Power => {
            when(numbers || l.maybe_compatible(r, GoType::is_number), GoType::Float.into())
        }
        Op::Modulo => {
            let integers = l.is_integer() && r.is_integer();
            when(integers || l.maybe_compatible(r, GoType::is_integer), Nature::int())
        }
        Op::In => {
            let fits = |ty: &GoType| *ty == GoType::Text || ty.is_list() || matches!(ty, GoType::Map(..));
            when(r.is_unknown() || l.is_unknown() && r.ty().is_some_and(fits), Nature::bool())
        }
        Op::Matches => {
            let texts = (l.is(&GoType::Text) || l.is(&GoType::Bytes)) && r.is(&GoType::Text);
            when(texts || l.maybe_compatible(r, |ty| *ty == GoType::Text), Nature::bool())
        }
        Op::Contains | Op::StartsWith | Op::EndsWith => {
            when(both(GoType::Text) || l.maybe_compatible(r, |ty| *ty == GoType::Text), Nature::bool())
        }
        Op::Range => {
            let integers = l.is_integer() && r.is_integer() || l.maybe_compatible(r, GoType::is_integer);
            when(integers, Nature::list_of(Nature::int()))
        }
        Op::Coalesce => Some(match (l.is_nil(), r.is_nil()) {
            (true, true) => Nature::Nil,
            (true, false) => r.clone(),
            (false, true) => l.clone(),
            (false, false) if r.assignable_to_nature(l) => l.clone(),
            (false, false) => Nature::Unknown,
        }),
    }
}

/// The operator as its messages name it.
pub(crate) fn printed(operator: BinaryOperator) -> &'static str {
    use BinaryOperator as Op;
    match operator {
        Op::Or => "||",
        Op::And => "&&",
        Op::Equal | Op::StrictEqual => "==",
        Op::NotEqual | Op::StrictNotEqual => "!=",
        Op::Less => "<",
        Op::Greater => ">",
        Op::LessOrEqual => "<=",
        Op::GreaterOrEqual => ">=",
        Op::In => "in",
        Op::Matches => "matches",
        Op::Contains => "contains",
        Op::StartsWith => "startsWith",
        Op::EndsWith => "endsWith",
        Op::Range => "..",
        Op::Add => "+",
        Op::Subtract => "-",
        Op::Multiply => "*",
        Op::Divide => "/",
        Op::Modulo => "%",
        Op::Power => "**",
        Op::Coalesce => "??",
    }
}

/// Integer literals in sums and products become floats where a float is wanted.
fn literals_to_floats(node: &mut Node) {
    match &mut node.kind {
        NodeKind::Int(value) => node.kind = NodeKind::Float(*value as f64),
        NodeKind::Unary(_, operand) => literals_to_floats(operand),
        NodeKind::Binary(
            BinaryOperator::Add | BinaryOperator::Subtract | BinaryOperator::Multiply,
            left,
            right,
        ) => {
            literals_to_floats(left);
            literals_to_floats(right);
        }
        _ => {}
    }
}
