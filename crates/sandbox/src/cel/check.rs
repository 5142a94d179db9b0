//! Checks an expression against what it is about: every name is declared, every call fits, and how much work
//! it can make at most, in the units of the API server's limits.

use super::decl::{Decl, Shape};
use super::functions::{self, TYPE_NAMES, Ty, call_type, is_known};
use super::value::Val;
use super::{Expr, Macro, Node};

/// The fewest and the most characters, items or entries.
type Size = (u64, u64);

const UNKNOWN: Size = (0, u64::MAX);
const ONE: Size = (1, 1);
const CREATE_LIST: u64 = 10;
const CREATE_MAP: u64 = 30;
/// Reading a text costs a tenth of its length.
const READING: f64 = 0.1;
/// Applying a pattern costs a quarter of its length for each unit of the text.
const MATCHING: f64 = 0.25;

/// What is known of a part of an expression.
#[derive(Clone, Debug)]
pub(super) struct Fact<'a> {
    pub ty: Ty,
    /// The part of the schema it stands for.
    decl: Option<&'a Decl>,
    size: Option<Size>,
    /// Sizes of keys and values of what the expression itself builds.
    entry: Option<(Size, Size)>,
    /// The most it can cost.
    pub cost: u64,
}

impl<'a> Fact<'a> {
    fn new(ty: Ty, cost: u64) -> Self {
        Self { ty, decl: None, size: None, entry: None, cost }
    }

    fn declared(decl: &'a Decl, cost: u64) -> Self {
        Self { decl: Some(decl), ..Self::new(Ty::of(decl), cost) }
    }

    fn size(&self) -> Size {
        self.size
            .or_else(|| self.decl.map(|decl| (0, decl.most)))
            .or_else(|| self.ty.is_scalar().then_some(ONE))
            .unwrap_or(UNKNOWN)
    }
}

/// Something wrong with an expression, and where.
pub(super) type Mistake = (usize, String);

/// What names mean.
pub(super) struct Checker<'a> {
    /// `self` and `oldSelf`, then the variables of macros.
    names: Vec<(String, Fact<'a>)>,
    pub mistakes: Vec<Mistake>,
    pub uses_old: bool,
    /// Lists may hold values of several types here.
    mixed: bool,
    /// The most characters, items or entries of what the rule is about.
    largest: u64,
}

fn times(size: u64, factor: f64) -> u64 {
    if size == u64::MAX {
        return u64::MAX;
    }
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate, saturated at the limits"
    )]
    {
        (size as f64 * factor).ceil() as u64
    }
}

fn add(a: Size, b: Size) -> Size {
    (a.0.saturating_add(b.0), a.1.saturating_add(b.1))
}

fn union(a: Size, b: Size) -> Size {
    (a.0.min(b.0), a.1.max(b.1))
}

impl<'a> Checker<'a> {
    /// For rules about `decl`; the earlier value is optional where the rule says so.
    pub fn new(decl: &'a Decl, optional_old: bool) -> Self {
        let mut old = Fact::declared(decl, 1);
        if optional_old {
            old.ty = Ty::Optional(Box::new(old.ty));
        }
        let names = vec![("self".to_owned(), Fact::declared(decl, 1)), ("oldSelf".to_owned(), old)];
        Self { names, mistakes: Vec::new(), uses_old: false, mixed: false, largest: decl.most }
    }

    fn wrong(&mut self, at: usize, message: String) -> Fact<'a> {
        self.mistakes.push((at, message));
        Fact::new(Ty::Dyn, 0)
    }

    pub fn check(&mut self, node: &Node) -> Fact<'a> {
        match &node.expr {
            Expr::Literal(value) => literal(value),
            Expr::Ident(name) => self.ident(node.at, name),
            Expr::List(items) => self.list(items),
            Expr::Map(entries) => self.map(entries),
            Expr::Select(of, field) => self.select(node.at, of, field, false),
            Expr::Has(of, field) => {
                let cost = self.select(node.at, of, field, true).cost;
                Fact::new(Ty::BOOL, cost)
            }
            Expr::MaybeSelect(of, field) => {
                let mut of = self.check(of);
                if let Ty::Optional(inner) = of.ty {
                    of.ty = *inner;
                }
                let mut found = self.field(node.at, &of, field);
                if !matches!(found.ty, Ty::Optional(_)) {
                    found.ty = Ty::Optional(Box::new(found.ty));
                }
                Fact { cost: of.cost.saturating_add(1), ..found }
            }
            Expr::Call { name, target, args } => self.call(node.at, name, target.as_deref(), args),
            Expr::Over { kind, range, variable, parts } => self.over(node.at, *kind, range, variable, parts),
        }
    }

    fn ident(&mut self, at: usize, name: &str) -> Fact<'a> {
        if name == "oldSelf" {
            self.uses_old = true;
        }
        if let Some((_, fact)) = self.names.iter().rev().find(|(one, _)| one == name) {
            return Fact { cost: 1, ..fact.clone() };
        }
        if TYPE_NAMES.contains(&name) {
            // Every name counts as large as what the rule is about.
            return Fact { size: Some((0, self.largest)), ..Fact::new(Ty::Plain("type"), 1) };
        }
        self.wrong(at, format!("undeclared reference to '{name}' (in container '')"))
    }

    fn list(&mut self, items: &[Node]) -> Fact<'a> {
        let mut cost = CREATE_LIST;
        let mut ty: Option<Ty> = None;
        let mut size = if items.is_empty() { (0, 0) } else { (u64::MAX, 0) };
        for item in items {
            let fact = self.check(item);
            cost = cost.saturating_add(fact.cost);
            size = union(size, fact.size());
            ty = Some(self.same_type(item.at, ty, fact.ty));
        }
        let ty = Ty::List(Box::new(ty.unwrap_or(Ty::Dyn)));
        let count = items.len() as u64;
        Fact { size: Some((count, count)), entry: Some((ONE, size)), ..Fact::new(ty, cost) }
    }

    fn map(&mut self, entries: &[(Node, Node)]) -> Fact<'a> {
        let mut cost = CREATE_MAP;
        let (mut key_type, mut value_type) = (None, None);
        let empty = if entries.is_empty() { (0, 0) } else { (u64::MAX, 0) };
        let (mut keys, mut values) = (empty, empty);
        for (key, value) in entries {
            let (key_fact, value_fact) = (self.check(key), self.check(value));
            cost = cost.saturating_add(key_fact.cost).saturating_add(value_fact.cost);
            keys = union(keys, key_fact.size());
            values = union(values, value_fact.size());
            key_type = Some(self.same_type(key.at, key_type, key_fact.ty));
            value_type = Some(self.same_type(value.at, value_type, value_fact.ty));
        }
        let part = |ty: Option<Ty>| Box::new(ty.unwrap_or(Ty::Dyn));
        let count = entries.len() as u64;
        let ty = Ty::Map(part(key_type), part(value_type));
        Fact { size: Some((count, count)), entry: Some((keys, values)), ..Fact::new(ty, cost) }
    }

    /// Lists and maps hold values of one type.
    fn same_type(&mut self, at: usize, before: Option<Ty>, ty: Ty) -> Ty {
        let Some(before) = before else { return ty };
        functions::join(&before, &ty).unwrap_or_else(|| {
            if !self.mixed {
                self.wrong(at, format!("expected type '{before}' but found '{ty}'"));
            }
            Ty::Dyn
        })
    }

    fn select(&mut self, at: usize, of: &Node, field: &str, only_asked: bool) -> Fact<'a> {
        let of = self.check(of);
        let counts = matches!(of.ty, Ty::Object(_) | Ty::Map(..)) && !only_asked;
        let found = self.field(at, &of, field);
        Fact { cost: of.cost.saturating_add(u64::from(counts)), ..found }
    }

    fn field(&mut self, at: usize, of: &Fact<'a>, field: &str) -> Fact<'a> {
        match &of.ty {
            Ty::Dyn => Fact::new(Ty::Dyn, 0),
            Ty::Map(_, value) => Fact::new((**value).clone(), 0),
            Ty::Object(fields) => {
                let declared = of.decl.and_then(|decl| match &decl.shape {
                    Shape::Object(fields) => fields.get(field),
                    _ => None,
                });
                match (declared, fields.get(field)) {
                    (Some(decl), _) => Fact::declared(decl, 0),
                    (None, Some(decl)) => Fact::new(Ty::of(decl), 0),
                    (None, None) => self.wrong(at, format!("undefined field '{field}'")),
                }
            }
            Ty::Optional(inner) => {
                let of = Fact { ty: (**inner).clone(), ..of.clone() };
                let found = self.field(at, &of, field);
                Fact { ty: Ty::Optional(Box::new(found.ty)), ..found }
            }
            other => self.wrong(at, format!("type '{other}' does not support field selection")),
        }
    }

    fn call(&mut self, at: usize, name: &str, target: Option<&Node>, args: &[Node]) -> Fact<'a> {
        // `ip.isCanonical(…)` is a function with a dot in its name.
        if let Some(Node { expr: Expr::Ident(space), .. }) = target
            && !self.names.iter().any(|(one, _)| one == space)
            && is_known(&format!("{space}.{name}"))
        {
            return self.call(at, &format!("{space}.{name}"), None, args);
        }
        let target = target.map(|target| self.check(target));
        // What is put into a text may be of any types.
        let strict = std::mem::replace(&mut self.mixed, name == "format");
        let args: Vec<Fact<'a>> = args.iter().map(|arg| self.check(arg)).collect();
        self.mixed = strict;
        if !is_known(name) {
            return self.wrong(at, format!("undeclared reference to '{name}' (in container '')"));
        }
        let types: Vec<Ty> = args.iter().map(|arg| arg.ty.clone()).collect();
        let Some(ty) = call_type(name, target.as_ref().map(|target| &target.ty), &types) else {
            let list: Vec<String> = types.iter().map(ToString::to_string).collect();
            let on = target.map(|target| format!("{}.", target.ty)).unwrap_or_default();
            let applied = format!("{on}({})", list.join(", "));
            return self.wrong(at, format!("found no matching overload for '{name}' applied to '{applied}'"));
        };
        cost_of_call(name, ty, target.as_ref(), &args)
    }

    fn over(&mut self, at: usize, kind: Macro, range: &Node, variable: &str, parts: &[Node]) -> Fact<'a> {
        let range_fact = self.check(range);
        let mut item = match (&range_fact.ty, range_fact.decl.map(|decl| &decl.shape)) {
            (Ty::List(_), Some(Shape::List(inner, _))) => Fact::declared(inner, 1),
            (Ty::List(inner), _) => Fact::new((**inner).clone(), 1),
            (Ty::Map(key, _), _) => Fact::new((**key).clone(), 1),
            (Ty::Dyn, _) => Fact::new(Ty::Dyn, 1),
            (other, _) => {
                let why = format!(
                    "expression of type '{other}' cannot be range of a comprehension (must be list, map, or dynamic)"
                );
                return self.wrong(range.at, why);
            }
        };
        if let Some((keys, values)) = range_fact.entry {
            item.size = Some(if matches!(range_fact.ty, Ty::List(_)) { values } else { keys });
        }
        let item_size = item.size();
        let item_type = item.ty.clone();
        self.names.push((variable.to_owned(), item));
        let facts: Vec<Fact<'a>> = parts.iter().map(|part| self.check(part)).collect();
        self.names.pop();
        let body = facts.last().cloned().unwrap_or(Fact::new(Ty::Dyn, 0));
        let asks = match kind {
            Macro::Map => facts.len().checked_sub(2).and_then(|index| facts.get(index)),
            _ => facts.last(),
        };
        if let Some(asks) = asks.filter(|asks| !asks.ty.is("bool") && asks.ty != Ty::Dyn) {
            let function = match kind {
                Macro::All => "_&&_",
                Macro::Exists => "_||_",
                _ => "_?_:_",
            };
            let why = format!("found no matching overload for '{function}' applied to '(bool, {})'", asks.ty);
            return self.wrong(at, why);
        }
        // What each round and the frame around all of them cost, as the macros are written out.
        let condition = if kind == Macro::Map && facts.len() == 2 { facts[0].cost } else { 0 };
        let (round, frame) = match kind {
            Macro::All => (3, 1),
            Macro::Exists => (4, 1),
            Macro::ExistsOne => (2, 2),
            Macro::Filter => (13, 11),
            Macro::Map => (12, 11),
        };
        let round = body.cost.saturating_add(round).saturating_add(condition);
        let count = range_fact.size();
        let cost = range_fact.cost.saturating_add(frame).saturating_add(count.1.saturating_mul(round));
        match kind {
            Macro::All | Macro::Exists | Macro::ExistsOne => {
                Fact { size: Some(ONE), ..Fact::new(Ty::BOOL, cost) }
            }
            Macro::Filter | Macro::Map => {
                let (ty, size) = match kind {
                    Macro::Filter => (item_type, item_size),
                    _ => (body.ty.clone(), body.size()),
                };
                let entry = Some((ONE, (0, size.1)));
                Fact { size: Some(count), entry, ..Fact::new(Ty::List(Box::new(ty)), cost) }
            }
        }
    }
}

fn literal<'a>(value: &Val) -> Fact<'a> {
    let ty = match value {
        Val::Null => Ty::Null,
        other => Ty::Plain(other.type_name()),
    };
    let size = value.size();
    Fact { size: Some((size, size)), ..Fact::new(ty, 0) }
}

/// The cost of a call with its arguments, and the size of what it gives.
fn cost_of_call<'a>(name: &str, ty: Ty, target: Option<&Fact<'a>>, args: &[Fact<'a>]) -> Fact<'a> {
    let all: Vec<&Fact<'a>> = target.into_iter().chain(args).collect();
    let given = all.iter().fold(0_u64, |sum, one| sum.saturating_add(one.cost));
    let size = |index: usize| all.get(index).map_or(UNKNOWN, |fact| fact.size());
    let read = |index: usize| times(size(index).1, READING);
    let texts = || all.iter().all(|fact| !fact.ty.is_scalar());
    let mut found = Fact::new(ty, 0);
    let own = match name {
        "_||_" | "_&&_" => 0,
        "_?_:_" => {
            found.size = Some(union(size(1), size(2)));
            found.entry = match (all[1].entry, all[2].entry) {
                (Some(a), Some(b)) => Some((union(a.0, b.0), union(a.1, b.1))),
                _ => None,
            };
            // Only one of the two is evaluated.
            found.cost = all[0].cost.saturating_add(all[1].cost.max(all[2].cost));
            return found;
        }
        "dyn" => {
            found.size = Some(size(0));
            found.entry = all[0].entry;
            1
        }
        "_[_]" | "_[?_]" => {
            match (all[0].decl.map(|decl| &decl.shape), all[0].entry) {
                (_, Some((_, values))) => found.size = Some(values),
                (Some(Shape::List(inner, _) | Shape::Map(inner)), None) => found.decl = Some(inner),
                _ => {}
            }
            1
        }
        "_==_" | "_!=_" | "_<_" | "_<=_" | "_>_" | "_>=_" => {
            let most = size(0).1.min(size(1).1);
            if name.len() == 4 && matches!(name, "_==_" | "_!=_") || texts() {
                times(most, READING)
            } else {
                1
            }
        }
        "@in" => match &all[1].ty {
            Ty::Map(..) => 1,
            _ => size(1).1,
        },
        "_+_" if texts() => {
            let sum = add(size(0), size(1));
            found.size = Some(sum);
            if let (Some(a), Some(b)) = (all[0].entry, all[1].entry) {
                found.entry = Some((union(a.0, b.0), union(a.1, b.1)));
            }
            if matches!(found.ty, Ty::List(_)) { 1 } else { times(sum.1, READING) }
        }
        "startsWith" | "endsWith" => read(1),
        "matches" | "find" | "findAll" => {
            if name == "findAll" {
                found.size = Some((0, size(0).1));
            }
            times(size(0).1.saturating_add(1), READING).saturating_mul(times(size(1).1, MATCHING))
        }
        "contains" => read(0).saturating_mul(read(1)),
        "lowerAscii" | "upperAscii" | "substring" | "trim" | "url" => {
            found.size = Some(size(0));
            read(0)
        }
        "replace" => {
            found.size = Some(replaced(size(0), size(1), size(2)));
            times(size(0).1, 2.0 * READING)
        }
        "split" => {
            found.size = Some((0, size(0).1));
            times(size(0).1, 2.0 * READING)
        }
        "join" => {
            let item = all[0].entry.map(|(_, values)| values).or_else(|| match all[0].decl?.shape {
                Shape::List(ref inner, _) => Some((0, inner.most)),
                _ => None,
            });
            let mut sum = size(0).1.saturating_mul(item.unwrap_or(UNKNOWN).1);
            if all.len() > 1 {
                sum = sum.saturating_add(size(1).1.saturating_mul(size(0).1.saturating_sub(1)));
            }
            found.size = Some((0, sum));
            times(sum, READING)
        }
        "isSorted" | "sum" | "min" | "max" | "indexOf" | "lastIndexOf" => match (&all[0].ty, all[0].decl) {
            (Ty::List(item), decl) => {
                let inner = decl.and_then(|decl| match &decl.shape {
                    Shape::List(inner, _) => Some(inner.most),
                    _ => None,
                });
                let text = item.is("string") || item.is("bytes");
                let each =
                    if text { 1_u64.saturating_add(times(inner.unwrap_or(u64::MAX), READING)) } else { 1 };
                size(0).1.saturating_mul(each)
            }
            _ => read(0),
        },
        "string" | "bytes" if !all[0].ty.is_scalar() && found.ty != all[0].ty => {
            let (least, most) = size(0);
            found.size =
                Some(if name == "bytes" { (least, most.saturating_mul(4)) } else { (least / 4, most) });
            read(0)
        }
        "format" | "strings.quote" | "cidr" | "isIP" | "isCIDR" | "quantity" | "isQuantity" => read(0),
        "ip" if all[0].ty.is("string") => read(0),
        "ip.isCanonical" => times(size(0).1, 2.0 * READING),
        // As if every form were a pattern of 128 characters.
        "validate" => times(read(1), 128.0 * MATCHING),
        "containsIP" => 4_u64.saturating_add(if all[1].ty.is("string") { read(1) } else { 0 }),
        "containsCIDR" => 7_u64.saturating_add(if all[1].ty.is("string") { read(1) } else { 0 }),
        _ => 1,
    };
    found.cost = given.saturating_add(own);
    found
}

/// How long a text can be after every occurrence of another was replaced.
fn replaced(text: Size, from: Size, to: Size) -> Size {
    if from.0 == 0 {
        (0, text.1.saturating_add(1).saturating_mul(to.1).saturating_add(text.1))
    } else if to.1 <= from.0 {
        (0, text.1)
    } else {
        (0, text.1.div_ceil(from.0).saturating_mul(to.1))
    }
}
