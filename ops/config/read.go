package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// value is a checked piece of the file. A nil *value is one that is absent or was
// mistaken; every method works on it, so that one mistake is reported once.
type value struct {
	at    place
	text  string
	any   any // what shape.read made of the text
	keys  map[string]*value
	had   map[string]bool // keys in the file, mistaken ones too
	items []*value        // mistaken ones are nil
}

type place struct{ line, column int }

func (v *value) get(name string) *value {
	if v == nil {
		return nil
	}
	return v.keys[name]
}

func (v *value) string() string {
	if v == nil {
		return ""
	}
	return v.text
}

func (v *value) list() []*value {
	if v == nil {
		return nil
	}
	return v.items
}

// strings are the texts of a list, without the mistaken ones.
func (v *value) strings() []string {
	var out []string
	for _, item := range v.list() {
		if item != nil {
			out = append(out, item.text)
		}
	}
	return out
}

type reader struct {
	file     string
	mistakes Errors
	anchors  map[string]ast.Node
}

func (r *reader) wrong(at place, what, want string) {
	r.mistakes = append(r.mistakes, Mistake{r.file, at.line, at.column, what, want})
}

// parse reads the text and checks it against the table.
func (r *reader) parse(data []byte) *value {
	if at := invalidUTF8(data); at >= 0 {
		before := string(data[:at])
		line := strings.Count(before, "\n") + 1
		column := utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
		r.wrong(place{line, column}, "this is not UTF-8", "expected a text file in UTF-8")
		return nil
	}
	// Duplicates are let through here and reported by object, together with all else.
	tree, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		at, what := place{1, 1}, err.Error()
		var syntax *yaml.SyntaxError
		if errors.As(err, &syntax) {
			at, what = position(syntax.Token), syntax.Message
		}
		r.wrong(at, "this is not YAML: "+what, "expected "+file.want)
		return nil
	}
	if len(tree.Docs) == 0 || tree.Docs[0].Body == nil || tree.Docs[0].Body.Type() == ast.CommentType {
		r.wrong(place{1, 1}, "the file is empty", "expected "+file.want)
		return nil
	}
	if len(tree.Docs) > 1 && tree.Docs[1].Body != nil {
		r.wrong(where(tree.Docs[1].Body), "a second document begins here", "expected one document")
	}
	r.anchors = map[string]ast.Node{}
	return r.check(tree.Docs[0].Body, file)
}

// check compares a node with what is expected there; nil if it is something else.
func (r *reader) check(n ast.Node, s *shape) *value {
	at := where(n)
	switch v := n.(type) {
	case *ast.AnchorNode:
		out := r.check(v.Value, s)
		// Only now: an alias of itself inside of it must not be found.
		r.anchors[v.Name.String()] = v.Value
		return out
	case *ast.AliasNode:
		target, ok := r.anchors[v.Value.String()]
		if !ok {
			r.wrong(at, fmt.Sprintf("there is no anchor &%s before this", v.Value), "expected "+s.want)
			return nil
		}
		return r.check(target, s)
	case *ast.TagNode:
		r.wrong(at, "tags such as "+v.Start.Value+" are not used here", "expected "+s.want)
		return nil
	}
	if s.either != nil {
		_, scalar := n.(ast.ScalarNode)
		for _, alternative := range s.either {
			if _, isMap := n.(*ast.MappingNode); scalar == (alternative.read != nil) && isMap == (alternative.keys != nil) {
				return r.check(n, alternative.as(s))
			}
		}
		r.wrong(at, "this is "+kindOf(n), "expected "+s.want)
		return nil
	}
	switch {
	case s.keys != nil:
		if m, ok := n.(*ast.MappingNode); ok {
			return r.object(m, s)
		}
	case s.each != nil:
		if l, ok := n.(*ast.SequenceNode); ok {
			return r.list(l, s)
		}
	case s.boolean:
		if b, ok := n.(*ast.BoolNode); ok {
			return &value{at: at, any: b.Value}
		}
	case s.integer:
		if i, ok := n.(*ast.IntegerNode); ok {
			if number, err := strconv.Atoi(i.Token.Value); err == nil {
				return &value{at: at, any: number}
			}
		}
	default:
		if t, ok := textOf(n); ok {
			return r.text(at, t, s)
		}
	}
	hint := ""
	if _, scalar := n.(ast.ScalarNode); scalar && s.read != nil && n.Type() != ast.NullType {
		hint = " (put it in quotes if it is meant as a text)"
	}
	r.wrong(at, "this is "+kindOf(n), "expected "+s.want+hint)
	return nil
}

// as keeps the wider description of a choice for the error of a text alternative.
func (s *shape) as(whole *shape) *shape {
	if s.read == nil {
		return s
	}
	c := *s
	c.want = whole.want
	return &c
}

func (r *reader) text(at place, t string, s *shape) *value {
	out, ok := s.read(t)
	if ok {
		return &value{at: at, text: t, any: out}
	}
	what := strconv.Quote(t) + " does not fit here"
	switch {
	case s.secret:
		what = "this does not fit here"
	case t == "":
		what = "this is empty"
	}
	r.wrong(at, what, "expected "+s.want+didYouMean(t, s.words))
	return nil
}

func (r *reader) list(n *ast.SequenceNode, s *shape) *value {
	v := &value{at: where(n), items: []*value{}}
	if len(n.Values) < s.least {
		r.wrong(v.at, "this list is empty", "expected "+s.want)
		return nil
	}
	for _, item := range n.Values {
		v.items = append(v.items, r.check(item, s.each))
	}
	return v
}

func (r *reader) object(n *ast.MappingNode, s *shape) *value {
	v := &value{at: where(n), keys: map[string]*value{}, had: map[string]bool{}}
	names := make([]string, len(s.keys))
	for i, k := range s.keys {
		names[i] = k.name
	}
	first := map[string]place{}
	unknown := false
	for _, pair := range n.Values {
		at, name := position(pair.Key.GetToken()), pair.Key.GetToken().Value
		var known *key
		for i := range s.keys {
			if s.keys[i].name == name {
				known = &s.keys[i]
			}
		}
		if known == nil {
			unknown = true
			r.wrong(at, "unknown key "+strconv.Quote(name), "expected "+orList(names)+didYouMean(name, names))
			// A misspelt key is not missing as well.
			if meant := nearest(name, names); meant != "" {
				v.had[meant] = true
			}
			continue
		}
		if earlier, twice := first[name]; twice {
			r.wrong(at, fmt.Sprintf("%q is here twice", name), fmt.Sprintf("expected it once: it is in line %d already", earlier.line))
			continue
		}
		first[name], v.had[name] = at, true
		v.keys[name] = r.check(pair.Value, known.shape)
	}
	if s.one && !unknown && len(first) != 1 {
		r.wrong(v.at, fmt.Sprintf("there are %d keys here", len(first)), "expected "+s.want)
		return nil
	}
	for _, k := range s.keys {
		if k.must && !v.had[k.name] {
			r.wrong(v.at, strconv.Quote(k.name)+" is missing", "expected "+k.shape.want)
		}
	}
	return v
}

func textOf(n ast.Node) (string, bool) {
	switch v := n.(type) {
	case *ast.StringNode:
		return v.Value, true
	case *ast.LiteralNode:
		return v.Value.Value, true
	}
	return "", false
}

func kindOf(n ast.Node) string {
	switch n.Type() {
	case ast.MappingType, ast.MappingValueType:
		return "a map"
	case ast.SequenceType:
		return "a list"
	case ast.NullType:
		return "empty"
	case ast.BoolType:
		return "true or false"
	case ast.IntegerType, ast.FloatType, ast.InfinityType, ast.NanType:
		return "a number"
	}
	return "a text"
}

// where a node begins. A block map's own token is the colon after its first key.
func where(n ast.Node) place {
	if m, ok := n.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		return position(m.Values[0].Key.GetToken())
	}
	return position(n.GetToken())
}

func position(t *token.Token) place {
	if t == nil || t.Position == nil {
		return place{1, 1}
	}
	return place{t.Position.Line, t.Position.Column}
}

func invalidUTF8(data []byte) int {
	for i := 0; i < len(data); {
		_, size := utf8.DecodeRune(data[i:])
		if size == 1 && data[i] >= utf8.RuneSelf {
			return i
		}
		i += size
	}
	return -1
}

func didYouMean(text string, words []string) string {
	if near := nearest(text, words); near != "" {
		return fmt.Sprintf(" (did you mean %q?)", near)
	}
	return ""
}

// nearest is the word that text was most likely meant to be; empty if none is near.
func nearest(text string, words []string) string {
	best, least := "", max(1, len(text)/3)+1
	for _, w := range words {
		if d := distance(strings.ToLower(text), w); d < least {
			best, least = w, d
		}
	}
	return best
}

// distance counts the letters to insert, remove, change or swap with a neighbour.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
}
