// SPDX-License-Identifier: GPL-2.0-only
/*
 * The screen of zcpctl top, on ncurses.
 */
#include <curses.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "top.h"
#include "zcpctl.h"

/* Above the jobs: the headline, a message, the titles. Below: the keys. */
#define LINES_ABOVE 3
#define LINES_BELOW 1

enum {
	PAIR_GOOD = 1,
	PAIR_WAITS,
	PAIR_BAD,
};

static SCREEN *screen;
static bool colors;

int screen_open(void)
{
	const char *no_color = getenv("NO_COLOR");

	screen = newterm(NULL, stdout, stdin);
	if (!screen)
		return -ENOTTY;
	set_term(screen);
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	set_escdelay(50);
	timeout(0);
	curs_set(0);
	colors = !(no_color && *no_color) && has_colors();
	if (colors) {
		start_color();
		use_default_colors();
		init_pair(PAIR_GOOD, COLOR_GREEN, -1);
		init_pair(PAIR_WAITS, COLOR_YELLOW, -1);
		init_pair(PAIR_BAD, COLOR_RED, -1);
	}
	return 0;
}

void screen_close(void)
{
	if (!screen)
		return;
	endwin();
	delscreen(screen);
	screen = NULL;
}

size_t screen_rows(void)
{
	int rows = LINES - LINES_ABOVE - LINES_BELOW;

	return rows > 0 ? (size_t)rows : 0;
}

static attr_t state_attr(uint32_t state)
{
	if (!colors)
		return A_NORMAL;
	switch (state) {
	case ZCP_STATE_RUNNING:
	case ZCP_STATE_SENT:
	case ZCP_STATE_DONE:
		return COLOR_PAIR(PAIR_GOOD);
	case ZCP_STATE_BLOCKED:
		return COLOR_PAIR(PAIR_WAITS);
	case ZCP_STATE_FAILED:
	case ZCP_STATE_CANCELLED:
		return COLOR_PAIR(PAIR_BAD);
	}
	return A_NORMAL;
}

/* A line, cut at the right edge. */
static void put_line(int y, attr_t attr, const char *text)
{
	if (y < 0 || y >= LINES)
		return;
	attrset(attr);
	mvaddnstr(y, 0, text, COLS);
	attrset(A_NORMAL);
}

static void draw_titles(const struct view *view)
{
	char line[VIEW_LINE_MAX];
	int width, at;

	view_titles(COLS, line);
	put_line(LINES_ABOVE - 1, A_REVERSE, line);
	width = column_place(view->sort, COLS, &at);
	if (width && LINES >= LINES_ABOVE)
		mvchgat(LINES_ABOVE - 1, at, width, A_REVERSE | A_BOLD | A_UNDERLINE, 0, NULL);
}

static void draw_row(const struct entry *e, int y, bool selected)
{
	char line[VIEW_LINE_MAX];
	int width, at;

	if (y >= LINES)
		return;
	view_line(e, COLS, line);
	/* Characters of several bytes: it is already cut to COLS columns. */
	attrset(selected ? A_REVERSE : A_NORMAL);
	mvaddstr(y, 0, line);
	attrset(A_NORMAL);
	width = column_place(COLUMN_STATE, COLS, &at);
	if (width && !selected && colors)
		mvchgat(y, at, width, state_attr(e->job.state),
			(short)PAIR_NUMBER(state_attr(e->job.state)), NULL);
}

static void draw_help(void)
{
	char line[80];
	int y = LINES_ABOVE;

	put_line(y++, A_BOLD, "Keys");
	put_line(y++, A_NORMAL, "  q        quit");
	put_line(y++, A_NORMAL,
		 "  up down  choose a job; j and k, page up and down, home and end too");
	put_line(y++, A_NORMAL, "  c        cancel it, after a confirmation");
	put_line(y++, A_NORMAL, "  /        show only jobs with a text; empty for all");
	put_line(y++, A_NORMAL, "  < >      sort by the column before or behind");
	for (int i = 0; i < COLUMN_COUNT; i++) {
		snprintf(line, sizeof(line), "  %c        sort by %s", column_key(i),
			 column_title(i));
		put_line(y++, A_NORMAL, line);
	}
	put_line(y++, A_NORMAL, "  r        reverse the order");
	put_line(y++, A_NORMAL, "  space    refresh now");
	put_line(y++, A_NORMAL, "  h ?      this");
}

static void draw_message(const struct top *top)
{
	char line[256];

	line[0] = '\0';
	if (top->mode == TOP_FILTER)
		snprintf(line, sizeof(line), "filter: %s_", top->view.filter);
	else if (top->mode == TOP_CONFIRM)
		snprintf(line, sizeof(line), "cancel job %llu? y/n",
			 (unsigned long long)top->cancel);
	else if (top->message[0])
		snprintf(line, sizeof(line), "%s", top->message);
	else if (top->view.filter[0])
		snprintf(line, sizeof(line), "filter: %s (%zu of %zu jobs)", top->view.filter,
			 top->view.count, top->jobs.count);
	put_line(1, A_BOLD, line);
}

void screen_draw(struct top *top)
{
	size_t rows = screen_rows();
	char line[256];

	/* The marked row stays on the screen. */
	if (top->selected >= top->view.count)
		top->selected = top->view.count ? top->view.count - 1 : 0;
	if (top->selected < top->first)
		top->first = top->selected;
	if (rows && top->selected >= top->first + rows)
		top->first = top->selected - rows + 1;

	erase();
	top_headline(top, line, sizeof(line));
	put_line(0, A_NORMAL, line);
	draw_message(top);
	draw_titles(&top->view);
	if (top->mode == TOP_HELP) {
		draw_help();
	} else {
		for (size_t i = 0; i < rows && top->first + i < top->view.count; i++)
			draw_row(top->view.rows[top->first + i], LINES_ABOVE + (int)i,
				 top->first + i == top->selected);
	}
	if (LINES > LINES_ABOVE)
		put_line(LINES - 1, A_DIM,
			 "q quit  c cancel  / filter  < > sort  r reverse  h help");
	refresh();
}

/*
 * The next key, ERR for none. getch() looks whether the size has changed, and then
 * waits: a signal between the two would be noticed at the next key only.
 */
static int next_key(int timeout_ms)
{
	struct timespec ts = { timeout_ms / 1000, timeout_ms % 1000 * 1000000L };
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	sigset_t before;
	int key;

	hold_signals(&before);
	key = getch();
	if (key == ERR && !interrupted) {
		ppoll(&input, 1, &ts, &before);
		key = getch();
		/* A terminal that is gone. */
		if (key == ERR && input.revents & (POLLHUP | POLLERR))
			interrupted = 1;
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	return key;
}

int screen_key(int timeout_ms)
{
	int key = next_key(timeout_ms);

	switch (key) {
	case ERR:
		return SCREEN_NONE;
	case KEY_UP:
		return SCREEN_UP;
	case KEY_DOWN:
		return SCREEN_DOWN;
	case KEY_PPAGE:
		return SCREEN_PAGE_UP;
	case KEY_NPAGE:
		return SCREEN_PAGE_DOWN;
	case KEY_HOME:
		return SCREEN_HOME;
	case KEY_END:
		return SCREEN_END;
	case KEY_ENTER:
	case '\n':
	case '\r':
		return SCREEN_ENTER;
	case 27:
		return SCREEN_ESCAPE;
	case KEY_BACKSPACE:
	case 127:
	case 8:
		return SCREEN_BACKSPACE;
	case KEY_RESIZE:
		/* What the terminal has made of its content is not known. */
		clearok(curscr, TRUE);
		return SCREEN_RESIZE;
	}
	return key < 256 ? key : SCREEN_NONE;
}
