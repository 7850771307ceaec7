package main

import (
	"context"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"

	"tandem/themes"
	"tandem/tui"
)

// watchTheme brings an operator's own theme whenever its file changes, until ctx ends; nil
// where the theme is a built-in one, or nothing can be watched: then it stays as it is. The
// directory is watched, as editors put a new file in the place of the old one.
func watchTheme(ctx context.Context, name string) <-chan tui.ThemeFile {
	if !themes.IsFile(name) {
		return nil
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil
	}
	if err := watcher.Add(filepath.Dir(name)); err != nil {
		watcher.Close()
		return nil
	}
	changed := make(chan tui.ThemeFile)
	go func() {
		defer watcher.Close()
		settled := time.NewTimer(0)
		<-settled.C
		for {
			select {
			case <-ctx.Done():
				return
			case event := <-watcher.Events:
				if filepath.Base(event.Name) == filepath.Base(name) && (event.Has(fsnotify.Write) || event.Has(fsnotify.Create)) {
					settled.Reset(themeSettles)
				}
				continue
			case <-settled.C:
			}
			theme, err := themes.Load(name)
			select {
			case changed <- tui.ThemeFile{Theme: theme, Err: err}:
			case <-ctx.Done():
				return
			}
		}
	}()
	return changed
}

// themeSettles is how long a file must be left alone to be read: some editors empty it first.
const themeSettles = 100 * time.Millisecond
