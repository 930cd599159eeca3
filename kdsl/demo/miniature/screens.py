# ruff: noqa: E501 - one line a list of words
"""Made-up phone screens of many apps, for training: each kind of screen is a recipe of blocks with its own words.

One line a kind: `name; other name :: description :: titles :: blocks`. A block is a letter with a share in percent, as
`list80`; blocks flow down the page. What a block writes comes from the words of the kind, two lines below it.
"""

from dataclasses import dataclass
from functools import cache

KINDS = """
# parcel tracking; shipment progress; delivery tracker; where a parcel is :: where a parcel is: stations with times, courier, often a map
Tracking|Follow your parcel|Shipment|Delivery progress|Parcel status|Where is it
map45 headline80 timeline95 pairs50 button40
Out for delivery|In transit|Arrived at hub|Picked up|Label created|Customs cleared|At sorting centre|Courier has it|Delivered
Waybill|Courier|Weight|Expected|Consignment
# purchases list; past orders; order overview :: a list of purchases with states, articles and prices
My purchases|Past orders|All orders|Order overview|Bought
tabs60 cards100 foot50
In preparation|Sent|Arrived|Complete|Unpaid|Closed|Reordered
Buy once more|Rate|Details|Track it
# order details; one purchase; order summary :: one order in full with articles, sums, address and payment
Order summary|Purchase|Order 4411|Order info
headline80 address60 item95 item40 pairs100 button70
Thank you!|Being prepared|Confirmed|Sent today|Order placed
Subtotal|Shipping fee|Order date|Order id|Grand total|Tax|Paid by
# refund progress; money back page; return status :: a refund or return: state, sum that comes back, reason
Refund|Your return|Reimbursement|Return progress|Money back status
headline95 steps60 item70 pairs100 text40 button60
Return accepted|Money sent|Refund pending|We got your return|Rejected|Refunded
Sum returned|Reason for return|Refund method|Return id|Filed on|Bank
# checkout; payment form; pay page :: choosing how to pay, card fields, sum to pay
Checkout|Pay securely|Payment|How to pay|Confirm payment
headline40 radio85 form70 pairs60 wide95
Total due|Amount
Visa|Mastercard|Paypal|Gift card|Bank transfer|Cash|Apple Pay|Card number|Expiry|Security code|Name on card|Pay
# payment result; receipt page; payment failed page :: a payment has worked or failed, with a sign and the sum
Payment result|Receipt|Transaction|Payment
icon100 headline100 pairs90 button80
Payment successful|Declined|Something went wrong|Paid|Transaction failed|Not completed
Amount paid|Transaction id|Time|Method|Merchant
# vouchers; coupon wallet; discount codes; offers page :: vouchers with sums off, conditions, dates
Vouchers|My coupons|Deals|Rewards and codes|Savings
tabs40 form40 tickets100
5% off|Save 10|Free shipping|20% discount|15 off|Half price|Buy 2 get 1
Min. spend 40|Ends soon|Valid to June|New customers|Redeem|Apply|Copy code
# product page; article for sale; item details :: one article with a large picture, price, stars and a button to buy
|Item|Product info|Shop
picture100 price95 headline90 stars70 chips60 text70 wide90
Linen shirt|Oak table|Running shoe|Steel bottle|Silk tie|Bluetooth speaker|Ceramic bowl
Add to cart|Buy|Reserve|In stock|Colour|Size|Ships free|Description
# search results; catalogue; product grid :: many articles side by side with prices
Results|Search|Shoes|Kitchen|New arrivals|Catalogue
chips60 grid100 foot60
Sandal|Boots|Pan|Knife set|Lamp|Cushion|Trainers
Filter|Sort|Sale
# cart; shopping basket; basket page :: articles to be bought with amounts and a sum
Cart|Shopping bag|Your basket|Trolley
item95 item80 item40 pairs80 wide95
Oak table|Steel bottle|Silk tie|Trainers|Cushion
Subtotal|Total|Delivery|To checkout|Proceed|Quantity
# chat; messages with support; conversation screen :: message bubbles at both sides and a field to write in
Support|Chat with us|Anna|Messages|Live help|Driver
bubbles100 input95
How can I help|My thing is late|Yes please|One moment|It was blue|Thanks|Where are you|I am at the door|Can you resend it|Sorry about that|No problem|What is the number
Type a message|Write here|Reply
# call log; contacts; phone list :: people with round pictures, names and times
Contacts|Recent calls|People|Friends
people100 foot50
Ben|Clara|Dr. Hill|Mum|Office|Pizza place|Zoe
Mobile|Missed|Yesterday
# login screen; sign in; password page :: fields for name and password
Sign in|Welcome back|Log in|Create account
icon50 headline60 form100 wide95 text40
Hello again|Welcome
Email|Password|Username|Forgot password?|Continue
# profile; account page; personal info :: the customer's own data and menu
Account|Profile|My page|Me
people30 avatar95 menu100 foot60
Anna B.|Member since 2019|Gold level
Addresses|Payment methods|Security|Help|Log out|Invoices|Points|Language
# settings; preferences; options :: switches
Settings|Preferences|Options|Notifications
switches100
Dark mode|Sounds|Location|Auto update|Face unlock|Vibration|Backup|Wifi only
On|Off
# address form; delivery address; shipping form :: fields for a street and town
New address|Shipping address|Edit address
form100 form80 switches30 wide90
Street|Town|Postcode|Country|Full name|Phone
Save|Use this address
# calendar; date picker; appointments :: days of a month
Calendar|Pick a date|May|Appointments
calendar100 pairs50 button60
Dentist|Meeting|Haircut
9:00|10:30|14:15|Book
# map; route; navigation :: a map in full with a way
Route|Map|Navigate|Nearby
fullmap100 headline60 button60
12 min|3 km left|Turn right
Start|Exit|Share
# statistics; chart; report :: bars or a curve
Report|Statistics|Activity|Spending
headline60 chart100 pairs60
1,204 steps|This week|Average
Mon|Tue|Highest|Lowest|Total
# bank account; transactions; statement :: money in and out
Account|Balance|Statement|Giro
headline90 moves100 foot40
1,204.55|89.10|2,340.00
Rent|Salary|Grocery|Cafe|Transfer|Train ticket|Interest
# boarding pass; ticket; entrance code :: a ticket with a square code
Boarding pass|Ticket|E-ticket|Entry
headline80 code100 pairs90
Gate 12|Row F|Seat 18A
Gate|Seat|Boarding|Class|Name
# news feed; posts; social page :: pictures with words below
Home|Feed|Posts|Discover
post100 post80 foot60
Great day|So proud|Look at this|Holiday
Like|Share|Comment
# reviews; ratings; opinions :: stars and opinions of customers
Reviews|Ratings|What people say
stars100 opinions100
Works well|Too small|Love it|Broke at once|Fast shipping
4.2|3.9|Helpful
# error page; nothing here; connection lost :: an app that shows that something failed
|Oops|Error
icon100 headline100 text80 button80
Page not found|No connection|Try again later|Nothing here yet
Retry|Go back
# music player; song; radio :: a cover and buttons to play
Now playing|Radio|Album
picture90 headline90 player100
Blue song|Evening|Track 7
Play|Next|Shuffle
# photo of a thing; camera picture; snapshot :: a photo taken with a camera, no screen
photo
photo100


# photo of a person; portrait; selfie :: a person in front of a camera
portrait
portrait100


# photo of a document; scanned letter; paper :: a sheet of paper, photographed
paper
paper100


"""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of picture: names, meaning, titles, blocks with their share, and the words of its blocks."""

    names: tuple[str, ...]
    description: str
    titles: tuple[str, ...]
    blocks: tuple[tuple[str, float], ...]
    main: tuple[str, ...]
    more: tuple[str, ...]


@cache
def kinds() -> tuple[Kind, ...]:
    """All kinds of screens, in file order."""
    found = []
    for part in KINDS.split("\n# ")[1:]:
        head, titles, blocks, main, more, *_ = [*part.split("\n"), "", "", "", ""]
        names, _, description = head.partition(" :: ")
        found.append(
            Kind(
                tuple(name.strip() for name in names.split(";")),
                description,
                tuple(titles.split("|")),
                tuple(
                    (block.rstrip("0123456789"), int(block.lstrip("abcdefghijklmnopqrstuvwxyz")) / 100)
                    for block in blocks.split()
                ),
                tuple(main.split("|")),
                tuple(more.split("|")),
            )
        )
    return tuple(found)
