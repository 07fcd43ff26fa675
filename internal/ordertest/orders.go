package ordertest

// orders has, for each rule of the protocol, an order that breaks a promise without it.
var orders = []order{
	{
		name: "a session that is being renewed is listed before it lives, so EndAll finds it", rule: "EntryFirst",
		from: "ann", requests: "renew(A), endall", steps: "1 Swap, 1 Swap, 1 Swap, 2, 1",
		want: func(w *world) { w.holds("1", ""); w.sessions("ann", 0) },
	},
	{
		name: "who lists leaves the entry of a login under way alone", rule: "KeepYoung",
		requests: "login, list", steps: "1 Admit, 2 Refresh, 1, 2",
		want: func(w *world) { w.answered("1", 200); w.holds("1", "ann"); w.sessions("ann", 1) },
	},
	{
		name: "EndAll finds a login that stores its record while it looks", rule: "Graves",
		requests: "login, endall", steps: "1 Admit, 2 End, 1, 2",
		want: func(w *world) { w.holds("1", ""); w.sessions("ann", 0) },
	},
	{
		name: "a login that has stored no record when EndAll looks never does", rule: "Graves",
		requests: "login, endall", steps: "1 Admit, 2, 1",
		want: func(w *world) { w.answered("1", 401); w.untouched("1"); w.sessions("ann", 0) },
	},
	{
		name: "a login that began before EndAll is refused after it", rule: "Mark",
		requests: "login, endall", steps: "1 call, 2, 1",
		want: func(w *world) { w.answered("1", 401); w.untouched("1"); w.sessions("ann", 0) },
	},
	{
		name: "what another request saves is taken along by a renewal", rule: "Merge",
		from: "anonymous", requests: "save(A), renew(A)", steps: "1 Get, 2 Swap, 1, 2",
		want: func(w *world) { w.has("2", "w1", true); w.has("2", "old", true) },
	},
	{
		name: "what another request saves is taken along by a login", rule: "Merge",
		from: "anonymous", requests: "save(A), login(A)", steps: "1 Get, 2 Swap, 1, 2",
		want: func(w *world) { w.has("2", "w1", true); w.has("2", "old", true) },
	},
	{
		name: "a logout with the old cookie does not end a login that completes, nor expire its cookie", rule: "LoginTomb, Quiet",
		from: "anonymous", requests: "logout(A), login(A)", steps: "2 Swap, 2 Swap, 1, 2",
		want: func(w *world) { w.untouched("1"); w.answered("2", 200); w.holds("2", "ann") },
	},
	{
		name: "a logout with the old cookie does not end a login that is complete, nor expire its cookie", rule: "LoginTomb, Quiet",
		from: "anonymous", requests: "logout(A), login(A)", steps: "1 call, 2, 1",
		want: func(w *world) { w.untouched("1"); w.answered("2", 200); w.holds("2", "ann") },
	},
	{
		name: "a logout ends what its session was renewed into", rule: "FollowRenewal",
		from: "ann", requests: "renew(A), logout(A)", steps: "1, 2",
		want: func(w *world) { w.holds("1", ""); w.sessions("ann", 0) },
	},
	{
		name: "a logout ends what its session is being renewed into", rule: "FollowRenewal",
		from: "ann", requests: "renew(A), logout(A)", steps: "1 Swap, 1 Swap, 2, 1",
		want: func(w *world) { w.holds("1", ""); w.sessions("ann", 0) },
	},
	{
		name: "a renewal that a logout overtakes is void", rule: "Merge",
		from: "ann", requests: "renew(A), logout(A)", steps: "1 Swap, 2, 1",
		want: func(w *world) { w.untouched("1"); w.sessions("ann", 0) },
	},
	{
		name: "a second click that comes later joins the first", rule: "Join",
		from: "anonymous", requests: "login(A), login(A)", steps: "1, 2",
		want: oneSession,
	},
	{
		name: "a second click that is overtaken joins the first", rule: "Join",
		from: "anonymous", requests: "login(A), login(A)", steps: "1 Swap, 2 Swap, 1, 2",
		want: oneSession,
	},
	{
		name: "two users with one old cookie have a session each", rule: "Join",
		from: "anonymous", requests: "login(A), bob(A)", steps: "1 Swap, 2 Swap, 1, 2",
		want: func(w *world) {
			w.holds("1", "ann")
			w.holds("2", "bob")
			w.has("2", "w1", false)
			w.sessions("ann", 1)
			w.sessions("bob", 1)
		},
	},
	{
		name: "a step-up of a session that was logged out meanwhile is void", rule: "StepVoid",
		from: "ann", requests: "logout(A), stepup(A)", steps: "2 call, 1, 2",
		want: func(w *world) { w.answered("2", 401); w.untouched("2"); w.sessions("ann", 0) },
	},
	{
		name: "a step-up that a logout overtakes at the store is void", rule: "StepVoid",
		from: "ann", requests: "logout(A), stepup(A)", steps: "2 Swap, 1, 2",
		want: func(w *world) { w.answered("2", 401); w.untouched("2"); w.sessions("ann", 0) },
	},
	{
		name: "a login takes nothing along of a session that ends meanwhile", rule: "DropEnded",
		from: "anonymous", requests: "logout(A), login(A)", steps: "2 Swap, 1, 2",
		want: func(w *world) { w.answered("2", 200); w.holds("2", "ann"); w.has("2", "old", false) },
	},
	{
		name: "a login takes nothing along of another user's session", rule: "DropForeign",
		from: "bob", requests: "save(A), login(A)", steps: "1 Get, 2 Swap, 1, 2",
		want: func(w *world) {
			w.holds("2", "ann")
			w.has("2", "old", false)
			w.has("2", "w1", false)
			w.sessions("bob", 0)
		},
	},
	{
		name: "a session that is being renewed counts once", rule: "ShortTTL, TrimDone",
		from: "ann", max: 2, requests: "renew(A), login", steps: "1 Swap, 2, 1",
		want: func(w *world) { w.holds("1", "ann"); w.holds("2", "ann"); w.sessions("ann", 2) },
	},
	{
		name: "EndAll that has met a tombstone lists again", rule: "TombAgain",
		from: "ann", requests: "renew(A), endall", steps: "1 call, 2 Entries, 1, 2",
		want: func(w *world) { w.holds("1", ""); w.sessions("ann", 0) },
	},
	{
		name: "a password change is not void because its own EndAll has ended the session", rule: "OwnEnd",
		from: "ann", requests: "save(A), password(A)", steps: "2 End, 1, 2",
		want: func(w *world) { w.answered("2", 200); w.holds("2", "ann"); w.sessions("ann", 1) },
	},
	{
		name: "a password reset that began before another's EndAll is refused", rule: "OwnMarkOnly",
		from: "ann", requests: "endall, password", steps: "2 call, 1, 2",
		want: func(w *world) { w.answered("2", 401); w.sessions("ann", 0) },
	},
	{
		name: "a password reset during which another EndAll is made is refused", rule: "OwnMarkOnly",
		from: "ann", requests: "endall, password", steps: "2 Mark, 1, 2",
		want: func(w *world) { w.answered("2", 401); w.sessions("ann", 0) },
	},
	{
		name: "a login that began before EndOthers is refused after it", rule: "OthersMark",
		from: "ann", requests: "others(A), login", steps: "2 call, 1, 2",
		want: func(w *world) { w.answered("2", 401); w.holds("1", "ann"); w.sessions("ann", 1) },
	},
	{
		name: "a login that began before EndAll may not join one that began after it", rule: "JoinMark",
		from: "anonymous", requests: "login(A), login(A), endall", steps: "1 call, 3 Mark, 2 call, 3, 2, 1",
		want: func(w *world) { w.answered("1", 401); w.answered("2", 200); w.holds("2", "ann"); w.sessions("ann", 1) },
	},
	{
		name: "a login that joins one whose process has died completes it", rule: "JoinTTL",
		from: "anonymous", requests: "login(A), login(A)", steps: "1 Swap, 1 Swap, 1 dies, 2",
		want: func(w *world) { w.answered("2", 200); w.holds("2", "ann"); w.sessions("ann", 1) },
	},
	{
		name: "a step-up with a cookie whose login was logged out is void", rule: "LoginFollows",
		from: "ann", requests: "login(A), stepup(A), logout(1)", steps: "2 call, 1, 3, 2",
		want: func(w *world) { w.answered("2", 401); w.untouched("2"); w.sessions("ann", 0) },
	},
	{
		name: "a step-up with a cookie with which another user has logged in is void", rule: "OthersTomb",
		from: "ann", requests: "logout(A), bob(A), stepup(A)", steps: "3 call, 2 Swap, 2 Swap, 1, 2, 3",
		want: func(w *world) {
			w.answered("3", 401)
			w.untouched("3")
			w.holds("2", "bob")
			w.sessions("ann", 0)
			w.sessions("bob", 1)
		},
	},
	{
		name: "a login that the limit itself ends is refused", rule: "TrimTold",
		max: 1, requests: "login, login", steps: "1 Admit, 1 Swap, 2 Swap, 1, 2",
		want: func(w *world) { w.answered("1", 401); w.untouched("1"); w.holds("2", "ann"); w.sessions("ann", 1) },
	},
	{
		name: "a login whose reply is lost does not take away what another has joined", rule: "UndoOwn",
		from: "anonymous", requests: "login(A), login(A)", steps: "1 Swap, 1 Swap lost, 2, 1",
		want: func(w *world) { w.answered("1", 503); w.answered("2", 200); w.holds("2", "ann"); w.sessions("ann", 1) },
	},
	{
		name: "EndOthers spares what its session is being renewed into", rule: "SpareFrom",
		from: "ann", requests: "renew(A), others(A)", steps: "1 Enter, 2 Refresh, 1, 2",
		want: func(w *world) { w.answered("2", 200); w.holds("1", "ann"); w.sessions("ann", 1) },
	},
	{
		name: "EndOthers spares a renewal that is not complete", rule: "SpareFrom",
		from: "ann", requests: "renew(A), others(A)", steps: "1 Swap, 2, 1",
		want: func(w *world) { w.answered("2", 200); w.holds("1", "ann"); w.sessions("ann", 1) },
	},
}

// oneSession is what a double click makes.
func oneSession(w *world) {
	w.same("1", "2")
	w.holds("2", "ann")
	w.has("2", "w1", true)
	w.has("2", "w2", true)
	w.has("2", "old", true)
	w.sessions("ann", 1)
}
