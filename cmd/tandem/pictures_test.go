package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The pictures of the README are of the console as it is. Times, numbers, and what a run happens
// to be at differ from one taking to the next; the key bar does not, nor do nearly all words.
func TestPictures(t *testing.T) {
	if !everything() {
		t.Log("not taken: TANDEM_ALL=1 takes them, as .ci/run does")
		return
	}
	dir := t.TempDir()
	cmd := self("docs", "pictures", "--speed", "20", dir)
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("taking the pictures: %v\n%s", err, out)
	}
	const kept = "../../.github"
	for _, scene := range scenes {
		if scene.picture == "" {
			continue
		}
		file := scene.picture + ".svg"
		was, is := readPicture(t, filepath.Join(kept, file)), readPicture(t, filepath.Join(dir, file))
		if err := is.like(was); err != nil {
			t.Errorf("%s is not of this console: %v; go run ./cmd/tandem docs pictures .github takes it anew", file, err)
		}
	}
}

// pictured is the text of a picture: its words, and those of its last line.
type pictured struct {
	words map[string]bool
	bar   []string
}

var (
	pictureText = regexp.MustCompile(`<text x="\d+" y="(\d+)"[^>]*>([^<]*)</text>`)
	pictureWord = regexp.MustCompile(`[A-Za-z][A-Za-z-]{2,}`)
)

func readPicture(t *testing.T, file string) pictured {
	t.Helper()
	svg, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p, last := pictured{words: map[string]bool{}}, ""
	for _, text := range pictureText.FindAllStringSubmatch(string(svg), -1) {
		if text[1] != last {
			p.bar, last = nil, text[1]
		}
		for _, word := range pictureWord.FindAllString(text[2], -1) {
			p.words[word] = true
			p.bar = append(p.bar, word)
		}
	}
	return p
}

// like tells how a picture differs from another of the same scene.
func (p pictured) like(other pictured) error {
	if !slices.Equal(p.bar, other.bar) {
		return fmt.Errorf("its key bar is %q, here it is %q", strings.Join(other.bar, " "), strings.Join(p.bar, " "))
	}
	var apart []string
	for word := range p.words {
		if !other.words[word] {
			apart = append(apart, "+"+word)
		}
	}
	for word := range other.words {
		if !p.words[word] {
			apart = append(apart, "-"+word)
		}
	}
	if len(apart)*10 > len(p.words)+len(other.words) {
		slices.Sort(apart)
		return fmt.Errorf("these words are in one of them alone: %s", strings.Join(apart, " "))
	}
	return nil
}
