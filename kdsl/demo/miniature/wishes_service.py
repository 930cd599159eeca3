"""What customers of many made-up businesses write about services. Form: see `kdsl.demo.miniature.wishes`."""

SERVICE = """
# login trouble; forgotten password; account locked :: cannot get into the account
The reset link has expired, I can't sign in.
My profile is locked after three attempts.
It says unknown user, yet I registered {ago}.
How do I get a new password?
The security code never reaches my phone.
# close account; delete profile; erase data :: wants the account or data removed
Please erase my profile and everything you stored.
I wish to close the account for good.
Under data protection law I ask you to delete my records.
Who has access to my personal data?
# newsletter; too many mails; unsubscribe :: wants no more advertising
Stop mailing me every day.
The unsubscribe link leads nowhere.
I never agreed to text message ads.
# opening hours; branch; find a store :: asks where a branch is or when it is open
Are you open on {day}?
Where's your nearest branch, and is there parking?
What time do you close tonight?
# complaint; rude staff; unhappy :: complains about people or service
Your colleague hung up on me.
I've been passed around five departments, this is a disgrace.
The cashier was extremely rude.
I want to speak to a manager.
# praise; thank you; happy customer :: says something nice
Just wanted to say your team is brilliant.
The {thing} is wonderful, five stars!
Thanks to the lady on the phone, she was so kind.
# job; career; application :: wants to work there
Do you have vacancies for drivers?
Where do I send my CV?
I'd love an internship at your firm.
# business offer; partnership; press :: a company or reporter asks
We produce cartons and would like to become your supplier.
I'm a journalist writing about retail, whom may I ask?
Would you sponsor our school sports day?
# pause subscription; stop monthly box; skip :: wants a subscription changed or ended
Skip the next monthly box please.
How do I end my subscription?
Put my plan on hold until {day}.
The trial turned into a paid plan, I want out.
# book appointment; make a reservation; schedule :: wants a date, table or seat
Is there a slot with the dentist on {day}?
A table for {number} tonight, please.
I'd like to book a haircut.
Can I reserve two seats for the show?
# reschedule; move a booking; change a date :: wants a booking moved
Something came up, can we move my appointment to {day}?
Please shift our table to half past eight.
I can't make it on {day}, another date?
# internet down; no signal; network fault :: the line or the network does not work
My router blinks red, no connection since {day}.
The wifi drops every evening.
I have no bars on my phone in the whole street.
Downloads crawl, I pay for fast fibre.
# mobile plan; data volume; sim card :: about a phone contract
My sim card isn't recognised.
How much data do I have left this month?
I want to take my phone number with me.
Does roaming cost extra abroad?
# lost bank card; block card; stolen wallet :: a bank card is gone
My wallet got stolen, block all cards.
I left my bank card in the machine.
Someone uses my credit card, freeze it now!
# transfer not arrived; bank payment pending :: money sent by bank has not come
I wired {amount} on {day} and the landlord hasn't got it.
The standing order did not run.
My salary isn't on the account yet.
# exchange rate; currency; fees abroad :: about rates and fees
What rate do you use for dollars?
How high is the fee for a cash withdrawal in Spain?
# loan; mortgage; credit :: wants to borrow
Could I borrow {amount} for a car?
What's the interest for a mortgage over ten years?
# flight change; rebook; missed plane :: wants to travel at another time
I missed my connection, put me on the next plane.
Can I take the later flight on {day}?
The flight was called off, what now?
# lost baggage; suitcase missing; luggage :: luggage did not come
My suitcase isn't on the belt.
The pram was damaged in the hold.
Our bags went to another airport.
# hotel room; check in; booking a stay :: about a stay
Is breakfast included in the room?
Could we check in at midnight?
The room smells of smoke, I want another.
# cold food; meal missing; restaurant delivery :: a meal came late, cold or incomplete
The soup came cold and the bread was forgotten.
My pizza is upside down.
Our rider has been standing at the same corner for an hour.
I'm allergic and you put nuts in it.
# taxi; ride; driver :: about a ride
My driver drove right past me.
I forgot my phone in the cab.
The fare doubled during the trip.
# library; renew a book; lending :: about borrowed things
Can I keep the novel for two more weeks?
The late fee on my library card is wrong.
# gym; course; membership :: about a club
I want to leave the gym at the end of the month.
Is the yoga class full?
Freeze my membership, I broke my leg.
# insurance claim; accident; cover :: damage that an insurance should pay
A tree fell on my car, how do I report it?
Is water damage covered?
My claim {code} has been open for months.
# electricity; meter; energy bill :: about power, gas and water
Here is my meter reading: {number}.
My power bill has doubled.
We have had no hot water since {day}.
# app crash; website fault; technical bug :: the app or site does not work
Your app closes as soon as I open it.
The search on the site shows nothing at all.
Since the update I can't scroll.
# language; human; wrong chat :: wants another person or language
Can I talk to a human being?
Do you speak Polish?
Oops, wrong window.
# doctor; prescription; pharmacy :: about health
Is my prescription ready?
Can I take this with aspirin?
The test results have not come.
# school; exam; course registration :: about learning
How do I sign up for the evening class?
My exam grade is missing.
# rent; flat; landlord :: about a home
The heating in my flat is broken.
When can I see the two-room flat?
# parking; fine; ticket :: about a fine
I got a fine though I had paid for parking.
How do I appeal against the ticket?
"""
