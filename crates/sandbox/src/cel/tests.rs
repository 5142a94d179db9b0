//! Rules held against values, and rules that are refused.

use serde_json::json;

use super::*;

/// A part of which nothing is known before it is there.
fn anything() -> Arc<Decl> {
    let source = crate::schema::compile(&json!({ "x-kubernetes-int-or-string": true }));
    Arc::new(Decl::of(&source, false).unwrap())
}

fn check(rule: &str, value: Value) -> Result<bool, Failure> {
    let decl = anything();
    let program = compile(rule, &decl, false, Wanted::Bool).or_else(|why| {
        // What is known to be of another type only while it runs is wrapped.
        if why.contains("must evaluate to a bool") {
            compile(&format!("({rule}) == true"), &decl, false, Wanted::Bool)
        } else {
            Err(why)
        }
    });
    program.unwrap_or_else(|why| panic!("{rule}: {why}")).holds(&Subject::new(&decl, &value, None)).0
}

#[test]
fn rules_of_definitions_are_evaluated() {
    let route = json!({ "a": 3, "name": "xy", "list": ["ab", "c"], "items": [{ "k": "a", "w": 1 }, { "k": "b" }],
        "map": { "x": "y" }, "namespace": "n", "f": 1.5 });
    let table = [
        ("self.a == 3 && self.a < 5", true),
        ("!has(self.b) || self.b == 1", true),
        ("has(self.map.x) && self.map['x'] == \"y\"", true),
        ("self.list.all(i, i.size() <= 2)", true),
        ("self.items.exists_one(i, i.k == 'a' && (has(i.w) ? i.w == 1 : true))", true),
        ("self.items.exists(i, has(i.w) && i.w > 1)", false),
        ("self.items.all(l1, self.items.exists_one(l2, l1.k == l2.k))", true),
        ("self.items.filter(i, has(i.w)).size() == 1", true),
        ("self.items.map(i, i.k) == ['a', 'b']", true),
        ("size(self.list) + 1 == 3", true),
        ("self.name.startsWith('x') && self.name.endsWith('y') && self.name.matches('^[a-z]+$')", true),
        ("self.name in ['xy', 'z'] && 'x' in self.map", true),
        ("self.a % 2 == 1 ? self.f > 1.0 : false", true),
        ("-self.a + 4 == 1", true),
        ("self.missing == 1 || true", true),
        ("false && self.missing == 1", false),
    ];
    for (rule, expected) in table {
        assert_eq!(check(rule, route.clone()), Ok(expected), "{rule}");
    }
    assert_eq!(check("self.missing == 1", route), Err(Failure::no_such_key("missing")));
}

/// The rules as the Gateway API publishes them.
fn gateway_rules() -> Vec<&'static str> {
    let lines = include_str!("../../tests/rules/gateway-api.txt").lines();
    lines.filter(|line| !line.starts_with('#')).collect()
}

#[test]
fn every_rule_of_the_gateway_api_can_be_read() {
    let rules = gateway_rules();
    assert!(rules.len() > 90);
    for rule in rules {
        let read = compile(rule, &anything(), false, Wanted::Bool);
        assert!(
            read.as_ref().is_ok_and(|_| true) || read.as_ref().is_err_and(|why| why.contains("bool")),
            "{rule}: {read:?}"
        );
    }
}

#[test]
fn rules_of_the_gateway_api_tell_good_values_from_bad_ones() {
    let table = [
        ("!(duration(self) < duration('1s') || duration(self) > duration('1h'))", json!("30s"), json!("2h")),
        ("self.all(h, !isIP(h))", json!(["example.com"]), json!(["10.0.0.1"])),
        (
            "(self.type in ['Exact','PathPrefix']) ? self.value.startsWith('/') : true",
            json!({ "type": "Exact", "value": "/a" }),
            json!({ "type": "Exact", "value": "a" }),
        ),
        (
            "self.filter(f, f.type == 'URLRewrite').size() <= 1",
            json!([{ "type": "URLRewrite" }]),
            json!([{ "type": "URLRewrite" }, { "type": "URLRewrite" }]),
        ),
        (
            "self.all(l1, self.exists_one(l2, l1.name == l2.name))",
            json!([{ "name": "a" }, { "name": "b" }]),
            json!([{ "name": "a" }, { "name": "a" }]),
        ),
        (
            "!(has(self.requestMirror) && self.type != 'RequestMirror')",
            json!({ "type": "RequestMirror", "requestMirror": {} }),
            json!({ "type": "CORS", "requestMirror": {} }),
        ),
        (
            "(size(self.group) == 0 && self.kind == 'Service') ? has(self.port) : true",
            json!({ "group": "", "kind": "Service", "port": 80 }),
            json!({ "group": "", "kind": "Service" }),
        ),
        (
            "self.numerator <= self.denominator",
            json!({ "numerator": 1, "denominator": 100 }),
            json!({ "numerator": 2, "denominator": 1 }),
        ),
        ("!('*' in self && self.size() > 1)", json!(["*"]), json!(["*", "a"])),
        (
            "self.all(key, key.split(\"/\")[0].size() < 253)",
            json!({ "a/b": 1 }),
            json!({ "a".repeat(253): 1 }),
        ),
        (
            "self.all(h, h.contains('*') ? (h.startsWith('*.') && h.substring(2).matches('^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)$')) : true)",
            json!(["*.example.com"]),
            json!(["a.*"]),
        ),
        (
            "(self.type in ['Exact','PathPrefix']) ? self.value.matches(r\"\"\"^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+$\"\"\") : true",
            json!({ "type": "Exact", "value": "/a%20b" }),
            json!({ "type": "Exact", "value": "/a b" }),
        ),
        (
            "self.mode == 'Terminate' ? size(self.certificateRefs) > 0 || size(self.options) > 0 : true",
            json!({ "mode": "Terminate", "certificateRefs": [{}] }),
            json!({ "mode": "Terminate", "certificateRefs": [], "options": {} }),
        ),
    ];
    let published = gateway_rules();
    for (rule, good, bad) in table {
        assert!(published.contains(&rule), "{rule}");
        assert_eq!(check(rule, good), Ok(true), "{rule}");
        assert_eq!(check(rule, bad), Ok(false), "{rule}");
    }
}

/// A schema with one of everything.
fn gadget() -> Arc<Decl> {
    let schema = crate::schema::compile(&json!({ "type": "object", "required": ["name"], "properties": {
        "name": { "type": "string", "maxLength": 10 },
        "count": { "type": "integer" },
        "ratio": { "type": "number" },
        "on": { "type": "boolean" },
        "when": { "type": "string", "format": "date-time" },
        "wait": { "type": "string", "format": "duration" },
        "tags": { "type": "array", "maxItems": 5, "x-kubernetes-list-type": "set", "items": { "type": "string", "maxLength": 4 } },
        "many": { "type": "array", "items": { "type": "string" } },
        "parts": { "type": "array", "maxItems": 3, "items": { "type": "object", "properties": { "k": { "type": "string" } } } },
        "labels": { "type": "object", "additionalProperties": { "type": "string" } },
        "a-b": { "type": "string" },
    } }));
    Arc::new(Decl::of(&schema, true).unwrap())
}

#[test]
fn mistakes_are_refused_with_their_place() {
    let table = [
        ("self.a ==", "ERROR: <input>:1:10: Syntax error: mismatched input '<EOF>'"),
        ("[1,", "ERROR: <input>:1:4: Syntax error"),
        ("'open", "ERROR: <input>:1:1: Syntax error"),
        ("self.nam == 'x'", "ERROR: <input>:1:5: undefined field 'nam'\n | self.nam == 'x'\n | ....^"),
        ("it.name == 'x'", "ERROR: <input>:1:1: undeclared reference to 'it' (in container '')"),
        ("nothing(self.name)", "ERROR: <input>:1:8: undeclared reference to 'nothing' (in container '')"),
        (
            "self.name == 1",
            "ERROR: <input>:1:11: found no matching overload for '_==_' applied to '(string, int)'",
        ),
        (
            "self.count.startsWith('a')",
            "ERROR: <input>:1:22: found no matching overload for 'startsWith' applied to 'int.(string)'",
        ),
        ("self.name", "cel expression must evaluate to a bool"),
        ("self.name.all(x, true)", "expression of type 'string' cannot be range of a comprehension"),
        ("self.name.k == 'a'", "type 'string' does not support field selection"),
    ];
    for (rule, expected) in table {
        let why = compile(rule, &gadget(), false, Wanted::Bool).unwrap_err();
        assert!(why.contains(expected), "{rule}: {why}");
    }
}

#[test]
fn functions_of_the_api_server_are_known() {
    let value = json!({ "name": "a", "count": 3, "when": "2026-01-02T03:04:05Z", "wait": "90s", "tags": ["a", "b"],
        "labels": { "x": "y" }, "a-b": "c" });
    let table = [
        (
            "quantity('1.5Gi').isGreaterThan(quantity('1500M')) && quantity('100m').compareTo(quantity('0.1')) == 0",
            true,
        ),
        ("isQuantity('1x') || quantity('2').add(1).asInteger() != 3", false),
        (
            "url('https://user@a.example:8443/p?q=1').getHostname() == 'a.example' && isURL('/x') && !isURL('x')",
            true,
        ),
        (
            "ip('10.0.0.1').family() == 4 && !isIP('10.0.0.256') && cidr('10.0.0.0/8').containsIP('10.2.3.4')",
            true,
        ),
        (
            "cidr('fd00::/8').containsCIDR('fd00:1::/32') && !cidr('10.0.0.0/8').containsIP(ip('11.0.0.1'))",
            true,
        ),
        ("'abc'.find('[b-z]+') == 'bc' && 'a1b2'.findAll('[0-9]') == ['1', '2']", true),
        (
            "[3, 1, 2].max() == 3 && [1, 2].isSorted() && [1, 2].sum() == 3 && ['a', 'b'].indexOf('b') == 1",
            true,
        ),
        ("sets.intersects(self.tags, ['b']) && sets.contains(self.tags, ['a'])", true),
        ("'%s has %d'.format([self.name, self.count]) == 'a has 3'", true),
        (
            "'a,b'.split(',').join('-') == 'a-b' && 'hello'.charAt(1) == 'e' && 'hello'.lastIndexOf('l') == 3",
            true,
        ),
        ("self.when.getFullYear() == 2026 && self.when > timestamp('2025-12-31T00:00:00Z')", true),
        ("self.wait == duration('1m30s') && self.wait.getMinutes() == 1", true),
        ("self.a__dash__b == 'c' && type(self.count) == int && dyn(self.count) == 3.0", true),
        ("{'a': 1}.all(k, k == 'a') && self.labels.exists(k, self.labels[k] == 'y')", true),
        ("self.?missing.orValue('none') == 'none' || true", true),
        ("self.?name.hasValue() && self.labels[?'z'].orValue('d') == 'd'", true),
        (
            "!format.dns1123Label().validate('a-b').hasValue() && format.named('uuid').value().validate('x').value().size() == 1",
            true,
        ),
        ("0x10 == 16 && 2u + 1u == 3u && 1e3 == 1000.0 && b'a' == bytes('a') && r'\\d' == '\\\\d'", true),
    ];
    for (rule, expected) in table {
        let decl = gadget();
        let program = match compile(rule, &decl, false, Wanted::Bool) {
            Ok(program) => program,
            Err(why) if why.contains("undefined field 'missing'") => continue,
            Err(why) => panic!("{rule}: {why}"),
        };
        assert_eq!(program.holds(&Subject::new(&decl, &value, None)).0, Ok(expected), "{rule}");
    }
}

#[test]
fn sets_are_equal_in_any_order_and_earlier_values_may_be_missing() {
    let decl = gadget();
    let (old, new) = (json!({ "tags": ["a", "b"] }), json!({ "tags": ["b", "a"] }));
    let holds = |rule: &str, optional: bool, old: Option<&Value>| {
        let program = compile(rule, &decl, optional, Wanted::Bool).unwrap();
        assert!(program.uses_old);
        program.holds(&Subject::new(&decl, &new, old)).0
    };
    assert_eq!(holds("self.tags == oldSelf.tags", false, Some(&old)), Ok(true));
    assert_eq!(holds("oldSelf.hasValue() || self.tags.size() == 2", true, None), Ok(true));
    assert_eq!(holds("oldSelf.orValue(self).tags == self.tags", true, Some(&old)), Ok(true));
}

#[test]
fn an_evaluation_ends_at_its_limit() {
    let decl = gadget();
    let many: Vec<String> = (0..2000).map(|number| number.to_string()).collect();
    let value = json!({ "many": many });
    let rule = "self.many.all(a, self.many.all(b, a == b || a != b))";
    let program = compile(rule, &decl, false, Wanted::Bool).unwrap();
    let (outcome, cost) = program.holds(&Subject::new(&decl, &value, None));
    assert_eq!(outcome, Err(Failure::TooCostly));
    assert!((CALL_LIMIT..CALL_LIMIT + 100).contains(&cost), "{cost}");
    assert!(program.most_cost > 10_000_000);
}
